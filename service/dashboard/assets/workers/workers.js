// The workers: what each one runs, and which have stopped reporting.

import { badge, byId, fill, make } from "/assets/shared/elements.js";
import { ago } from "/assets/shared/numbers.js";
import { refresh } from "/assets/shared/page.js";
import { ask } from "/assets/shared/service.js";

const WORKERS_MS = 5000; // between readings
const SHOWN_SECONDS = 3600; // a worker that stopped longer ago is not shown

const count = (totals, name) => Object.values(totals[name] || {}).reduce((sum, each) => sum + (Number(each) || 0), 0);

async function showWorkers() {
  const { items } = await ask("/v1/workers");
  const shown = items.filter((worker) => worker.state !== "stopped" || worker.seconds_since_seen < SHOWN_SECONDS);
  const order = { running: 0, idle: 1, stale: 2, stopped: 3 };
  shown.sort((one, other) => order[one.state] - order[other.state] || one.id.localeCompare(other.id));
  byId("no-workers").hidden = shown.length > 0;
  byId("workers").hidden = shown.length === 0;
  fill(
    byId("workers"),
    [["Worker"], ["State"], ["Device"], ["Runs"], ["Shards", true], ["Trials", true], ["Last seen", true]],
    shown.map((worker) => ({
      key: worker.id, class: worker.state,
      title: `${worker.host}, ${Object.entries(worker.versions).map((pair) => pair.join(" ")).join(", ") || "versions unknown"}`,
      cells: [
        make("code", {}, worker.id), badge(worker.state), worker.device || "–",
        worker.calibration_id ? make("code", {}, worker.calibration_id) : "–",
        String(count(worker.totals, "shards")), String(count(worker.totals, "trials")), ago(worker.seconds_since_seen),
      ],
    })),
  );
  const told = ["running", "idle", "stale"].map((state) => [state, shown.filter((worker) => worker.state === state).length]);
  byId("workers-summary").textContent = told.filter(([, number]) => number).map(([state, number]) => `${number} ${state}`).join(", ");
}

refresh(WORKERS_MS, showWorkers);
