// How far a calibration is.

import { badge, make } from "/assets/shared/elements.js";

const FINAL = ["succeeded", "failed", "cancelled"];

export const hasEnded = (item) => FINAL.includes(item.state);

export const stateOf = (item) => badge(item.state, item.cancel_requested && !item.finished_at ? "cancelling" : item.state);

export function progress(item) {
  const { trials_done: done, trials_total: total } = item.progress;
  if (total === 0) return `${done}`; // an external runner did not say how many there will be
  return make("span", { class: "progress" }, make("progress", { max: total, value: done, "aria-label": `${done} of ${total} trials` }), ` ${done}/${total}`);
}
