// Live answers: the newest question alone counts, and one that is no longer asked is broken off.

import { Refused } from "/assets/service.js";

const TOO_MANY = 429;
const RETRY_MS = 1000; // when the service says that it is busy, and not for how long

/**
 * A function that asks after a pause. `question` is called when the pause is over and gets a signal that aborts when it is
 * asked again; its outcome goes to `shown`, unless another question has been asked in the meantime.
 */
export function live(question, shown) {
  let timer = 0;
  let running = null;
  function ask(pauseMs) {
    clearTimeout(timer);
    timer = setTimeout(run, pauseMs);
  }
  async function run() {
    running?.abort();
    const mine = (running = new AbortController());
    const outcome = await question(mine.signal);
    if (mine !== running || mine.signal.aborted) return;
    const busy = outcome.flatMap((each) => (each.error instanceof Refused && each.error.status === TOO_MANY ? [each.error] : []))[0];
    if (busy) ask(busy.retryAfterMs || RETRY_MS);
    shown(outcome);
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
