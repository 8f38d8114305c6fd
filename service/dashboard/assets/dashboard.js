// The dashboard: the API key, and the periodic refresh.

import { calculate, takeCalibrations } from "/assets/calculator.js";
import { showCalibrations, startOver } from "/assets/calibrations.js";
import { byId, tell } from "/assets/elements.js";
import { ask, key, onKeyWanted, repeat, setKey } from "/assets/service.js";
import { showWorkers } from "/assets/workers.js";

const CALIBRATIONS_MS = 3000; // between readings of the list; events of the shown calibration arrive at once
const WORKERS_MS = 5000;

function trouble(error) {
  const text = error === null || error.status === 401 ? "" : `not connected: ${error.message}`;
  document.body.classList.toggle("unconnected", text !== "");
  if (byId("status").textContent !== text) byId("status").textContent = text;
}

const readCalibrations = repeat(CALIBRATIONS_MS, async () => takeCalibrations(await showCalibrations(() => readCalibrations())), trouble);
const readWorkers = repeat(WORKERS_MS, showWorkers, trouble);

function readAll() {
  startOver();
  readWorkers();
  calculate();
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
  readAll();
});
byId("forget-key").addEventListener("click", () => { setKey(null); location.reload(); });
byId("forget-key").hidden = !key();

calculate();
