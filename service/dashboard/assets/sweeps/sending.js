// An upload as its reader sees it: how far it is, how to stop it, and what became of it.

import { byId, tell } from "/assets/shared/elements.js";

const FORBIDDEN = 403;
const UNREACHABLE = 503;

/** Whether nobody knows what became of the last part: its answer was lost. */
export const isUnknown = ({ status }) => status === UNREACHABLE;

/** Do `action(told, signal)` while the progress of `all` runs is shown; `failed` gets an error. Returns the value or null. */
export async function sending(all, action, failed) {
  const stop = new AbortController();
  const stopNow = () => {
    stop.abort();
    byId("sent-words").textContent = "Stopping after the part that is on its way…";
  };
  tell("send-error", "");
  byId("send").disabled = true;
  byId("sending").hidden = false;
  byId("stop").addEventListener("click", stopNow);
  const told = (done) => {
    byId("sent").max = all;
    byId("sent").value = done;
    byId("sent-words").textContent = `${done.toLocaleString("en")} of ${all.toLocaleString("en")} runs are sent.`;
  };
  told(0);
  try {
    return await action(told, stop.signal);
  } catch (error) {
    const why = error.name === "AbortError" ? "You stopped it." : error.status === FORBIDDEN ? `${error.message} Uploading needs a key with scope calibrate.` : error.message;
    tell("send-error", failed(/[.!?]$/.test(why) ? why : `${why}.`, error).replace(/^./, (first) => first.toUpperCase()));
    return null;
  } finally {
    byId("stop").removeEventListener("click", stopNow);
    byId("send").disabled = false;
    byId("sending").hidden = true;
  }
}
