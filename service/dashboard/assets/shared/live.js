// Live answers: the newest question alone counts, and one that is no longer asked is broken off.

import { Refused } from "/assets/shared/service.js";

const PASSING = [429, 503]; // it is busy, or does not answer
const RETRY_MS = 1000; // when the service does not say for how long; doubled after each further failure
const LAST_RETRY_MS = 8000;

/**
 * A function that asks after a pause. `question` is called when the pause is over and gets a signal that aborts when it is
 * asked again; its outcome goes to `shown`, unless another question has been asked in the meantime.
 *
 * Asked again, it waits for a whole pause, as for a reader who types. With `steadily` it does not, as for one who
 * drags: the question that waits will read what is newest, and one that is on its way is let home first.
 */
export function live(question, shown) {
  let timer = 0;
  let running = null; // what aborts the question that is on its way
  let next = null; // the pause after which to ask once it is home
  let failures = 0; // one after another

  function ask(pauseMs, steadily = false) {
    if (steadily && running) next = pauseMs;
    if (steadily && (running || timer)) return;
    clearTimeout(timer);
    timer = setTimeout(run, pauseMs);
  }

  async function run() {
    timer = 0;
    next = null;
    running?.abort();
    const mine = (running = new AbortController());
    let outcome;
    try {
      outcome = await question(mine.signal);
    } finally {
      if (mine === running) running = null;
    }
    if (mine.signal.aborted) return;
    const busy = outcome.map(({ error }) => error).find((error) => error instanceof Refused && PASSING.includes(error.status));
    failures = busy ? failures + 1 : 0;
    if (busy) next = busy.retryAfterMs || Math.min(RETRY_MS * 2 ** (failures - 1), LAST_RETRY_MS);
    shown(outcome);
    if (next !== null && !timer) ask(next);
  }
  return ask;
}

/** The outcome of an action: { value }, or { error } if it is one of the kinds that a reader can do something about. */
export async function outcomeOf(action, kinds) {
  try {
    return { value: await action() };
  } catch (error) {
    if (error.name === "AbortError" || kinds.some((kind) => error instanceof kind)) return { error };
    throw error;
  }
}
