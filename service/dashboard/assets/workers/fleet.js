// The workers: their devices and software, what each one runs, and which have stopped reporting.

import { badge, byId, fill, make } from "/assets/shared/elements.js";
import { ago } from "/assets/shared/numbers.js";
import { plural } from "/assets/shared/words.js";
import { lasting, linkTo, shardText } from "/assets/workers/work.js";

const SHOWN_SECONDS = 3600; // a worker that stopped longer ago is shown when asked for (chosen)
const ORDER = { running: 0, idle: 1, stale: 2, stopped: 3 };

const sum = (counts) => Object.values(counts ?? {}).reduce((total, each) => total + (Number(each) || 0), 0);
const isAlive = ({ state }) => state === "running" || state === "idle";

function work(worker, calibrations, shards) {
  if (worker.calibration_id === null) return worker.state === "running" ? "another owner's work" : "–";
  const shard = shards.get(worker.shard_id);
  const box = make("span", {}, linkTo(worker.calibration_id, calibrations.get(worker.calibration_id)?.name));
  if (shard) box.append(make("small", { class: "below" }, shardText(shard)));
  if (worker.state === "stale") {
    const left = shard?.lease_seconds;
    box.append(make("small", { class: "below" }, left > 0 ? `another worker may take it over in ${lasting(left)}` : "the next free worker takes it over"));
  }
  return box;
}

function shardsOf({ shards }) {
  const parts = [["failed", "failed"], ["cancelled", "cancelled"], ["released", "returned"], ["lost", "lost"]].filter(([name]) => shards?.[name] > 0);
  return make("span", {}, String(sum(shards)), parts.length > 0 ? make("small", { class: "below" }, parts.map(([name, text]) => `${shards[name]} ${text}`).join(", ")) : null);
}

function trialsOf({ trials, trial_seconds: timed }) {
  const { sum: seconds = 0 } = timed ?? {};
  return make("span", {}, String(sum(trials)), seconds > 0 ? make("small", { class: "below" }, `in ${lasting(seconds)}`) : null);
}

const software = ({ versions }) => Object.entries(versions).map((pair) => pair.join(" ")).join(", ") || "–";

/** Show the workers. calibrations, shards: what is known of those that run, by id. */
export function showFleet(workers, calibrations, shards) {
  const old = workers.filter(({ state, seconds_since_seen: seconds }) => state === "stopped" && seconds >= SHOWN_SECONDS);
  const shown = workers.filter((worker) => byId("stopped").checked || !old.includes(worker));
  shown.sort((one, other) => ORDER[one.state] - ORDER[other.state] || one.id.localeCompare(other.id, undefined, { numeric: true }));
  byId("no-workers").hidden = workers.length > 0;
  byId("workers").hidden = shown.length === 0;
  byId("stopped-choice").hidden = old.length === 0;
  byId("stopped-label").textContent = `Show ${plural(old.length, "worker")} that stopped over an hour ago`;
  fill(
    byId("workers"),
    [["Worker"], ["State"], ["Device"], ["Software"], ["Runs"], ["Shards", true], ["Trials", true], ["Last seen", true]],
    shown.map((worker) => ({
      key: worker.id, class: worker.state,
      cells: [
        make("span", {}, make("code", {}, worker.id), make("small", { class: "below" }, `on ${worker.host}`)), badge(worker.state), worker.device ?? "not known yet", make("small", {}, software(worker)),
        work(worker, calibrations, shards), shardsOf(worker.totals), trialsOf(worker.totals), seen(worker),
      ],
    })),
  );
  const told = Object.keys(ORDER).map((state) => [state, workers.filter((worker) => worker.state === state && !old.includes(worker)).length]);
  byId("workers-summary").textContent = told.filter(([, count]) => count).map(([state, count]) => `${count} ${state}`).join(", ");
  return workers.filter(isAlive).length;
}

function seen({ started_at: start, stopped_at: stop, seconds_since_seen: seconds }) {
  const since = start && !stop ? make("small", { class: "below" }, `since ${new Date(start).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" })}`) : null;
  return make("span", {}, ago(seconds), since);
}
