// The trials of a calibration: those that are stored, page by page, and those that end meanwhile.

import { ask } from "/assets/shared/service.js";

const PAGE = 500; // the service's largest

/** Whether a trial is of the plain sweep, without γ or a branched horizon. */
export const isPlain = (trial) => trial.role === null && trial.horizon === null;
/** What tells a trial from all others; an event gives γ = 1 where a listing has none. */
const keyOf = (trial) => [trial.width, trial.learning_rate, trial.seed, trial.role && `${trial.role} ${trial.gamma}`, trial.horizon].filter((part) => part !== null).join(" ");

/** The trials of the calibration at an address. `arrived` gets those that are new or have another outcome, each with its `key`. */
export function trialsOf(address, arrived) {
  const outcomes = new Map(); // by key
  const rows = new Map(); // as they are stored, by key
  let cursor = null; // of the newest page, which may grow
  let reading = null;
  let again = false; // whether something may have come while it was read

  function take(trials) {
    const news = [];
    for (const trial of trials) {
      const key = keyOf(trial);
      const outcome = `${trial.status} ${trial.loss}`;
      if (outcomes.get(key) === outcome) continue;
      outcomes.set(key, outcome);
      news.push({ ...trial, key });
    }
    if (news.length) arrived(news);
  }

  async function pages() {
    for (;;) {
      const page = await ask(`${address}/trials?limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      for (const trial of page.items) rows.set(keyOf(trial), trial);
      take(page.items);
      if (!page.next_cursor) return;
      cursor = page.next_cursor;
    }
  }

  /** Read those that are not known yet, from the newest page on. `done`: how many there should be. */
  async function readOn(done) {
    again = true;
    if (reading) return reading;
    reading = (async () => {
      while (again) {
        again = false;
        await pages();
      }
      if (rows.size >= done || cursor === null) return;
      cursor = null; // one was stored with an earlier time than others that were read before: once more, from the start
      await pages();
    })();
    try {
      return await reading;
    } finally {
      reading = null;
    }
  }

  return { take, readOn, all: () => [...rows.values()] };
}
