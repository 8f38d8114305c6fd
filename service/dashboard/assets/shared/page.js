// What every page has: the API key, what is read again and again, and whether the service answers.

import { byId, tell } from "/assets/shared/elements.js";
import "/assets/shared/terms.js";
import { ask, key, onKeyWanted, repeat, setKey } from "/assets/shared/service.js";

const readings = []; // each reads once more, at once
const starts = [];

function trouble(error) {
  const text = error === null || error.status === 401 ? "" : `not connected: ${error.message}`;
  document.body.classList.toggle("unconnected", text !== "");
  if (byId("status").textContent !== text) byId("status").textContent = text;
}

/** Read now and every so often. Returns what reads once more, at once. */
export function refresh(everyMs, action) {
  const again = repeat(everyMs, action, trouble);
  readings.push(again);
  return again;
}

/** Do it now, and again with a new key. */
export function begin(action) {
  starts.push(action);
  action();
}

onKeyWanted((reason) => {
  byId("key-card").hidden = false;
  document.body.classList.add("locked");
  tell("key-error", reason);
  byId("forget-key").hidden = true;
});

byId("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = event.currentTarget.elements.key;
  setKey(field.value.trim());
  try {
    await ask("/v1/calibrations?limit=1");
  } catch (error) {
    if (error.status !== 401) tell("key-error", error.message);
    return;
  }
  field.value = "";
  byId("key-card").hidden = true;
  document.body.classList.remove("locked");
  byId("forget-key").hidden = false;
  for (const each of [...starts, ...readings]) each();
});
byId("forget-key").addEventListener("click", () => { setKey(null); location.reload(); });
byId("forget-key").hidden = !key();
