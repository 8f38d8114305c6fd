// Runs on their way to the service, in parts. A new sweep is there with all of its runs or not at all.
//
// A part that is on its way is never broken off, since nobody would know whether it is stored: a stop comes after it.

import { ask, posted, Refused, send } from "/assets/shared/service.js";

const PART = 2000; // runs in a request (chosen): the service takes 5,000; smaller parts show progress
const BUSY = [429, 503];
const TRIES = 6; // of a part that a busy service puts off (chosen)
const PAUSE_MS = 1000;

/** A key that is new each time, on pages without https as well, which lack crypto.randomUUID. */
const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function patiently(action, signal) {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof Refused) || !BUSY.includes(error.status) || left <= 1) throw error;
      await new Promise((go) => { setTimeout(go, error.retryAfterMs || PAUSE_MS); signal.addEventListener("abort", go, { once: true }); });
      signal.throwIfAborted();
    }
  }
}

/** The service counts the rows of a part; the reader those of the file. */
function inTheFile(error, rows) {
  if (!(error instanceof Refused)) return error;
  const row = (number) => `row ${rows[number - 1] ?? number}`;
  const field = error.errors.map(({ pointer }) => /^#?\/runs\/(\d+)/.exec(pointer || "")).find(Boolean);
  const named = error.message.replace(/\brow (\d+)/g, (_, number) => row(Number(number)));
  error.message = field && named === error.message ? `${row(Number(field[1]) + 1).replace("r", "R")}: ${named}` : named;
  return error;
}

/** Make a sweep of some runs; `told` gets how many are stored. What fails or is stopped leaves nothing behind. */
export async function createSweep(body, { runs, rows }, told, signal) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": newKey() };
  const first = JSON.stringify({ ...body, runs: runs.slice(0, PART) });
  let sweep = null;
  try {
    sweep = await patiently(() => ask("/v1/sweeps", { method: "POST", headers, body: first }), signal);
    told(Math.min(PART, runs.length));
    await rest(sweep.id, { runs, rows }, PART, told, signal);
  } catch (error) {
    if (!sweep) throw inTheFile(error, rows);
    await send(`/v1/sweeps/${sweep.id}`, { method: "DELETE" }).catch(() => { error.left = sweep; });
    throw error; // its rows are the file's already
  }
  return sweep;
}

/** Add the runs that a sweep lacks; returns how many it lacked. `error.stored` says how many were there before it failed. */
export async function addRuns(id, found, told, signal) {
  return rest(id, found, 0, told, signal);
}

async function rest(id, { runs, rows }, begin, told, signal) {
  let added = 0;
  for (let at = begin; at < runs.length; at += PART) {
    try {
      signal.throwIfAborted();
      const answer = await patiently(() => ask(`/v1/sweeps/${id}/runs`, posted({ runs: runs.slice(at, at + PART) })), signal);
      added += answer.added;
    } catch (error) {
      const numbered = inTheFile(error, rows.slice(at, at + PART));
      numbered.stored = at;
      throw numbered;
    }
    told(Math.min(at + PART, runs.length));
  }
  return added;
}
