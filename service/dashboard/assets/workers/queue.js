// The queue: the calibrations that run or wait, in the order in which their shards are taken.

import { byId, fill, make } from "/assets/shared/elements.js";
import { ago } from "/assets/shared/numbers.js";
import { progress, stateOf } from "/assets/shared/states.js";
import { plural } from "/assets/shared/words.js";
import { lasting, linkTo } from "/assets/workers/work.js";

const SAID = [["running", "running"], ["queued", "waiting"], ["failed", "failed"], ["succeeded", "done"], ["cancelled", "cancelled"]];

const isElsewhere = (item) => item.runner === "external";

function shardsText({ progress: { shards } }) {
  const parts = SAID.filter(([state]) => shards[state] > 0).map(([state, word]) => `${shards[state]} ${word}`);
  return parts.join(", ") || "none planned yet";
}

function timeLeft(item) {
  if (isElsewhere(item)) return "–";
  if (item.progress.seconds_left !== null) return `about ${lasting(item.progress.seconds_left)}`;
  const { seconds, upper_bound: most } = item.estimate;
  return seconds === null ? "not known yet" : make("span", {}, `${most ? "at most" : "about"} ${lasting(seconds)}`, make("small", { class: "below" }, "as estimated"));
}

/** Show what runs and waits, given oldest first. workers: all that have reported; alive: how many of them are. */
export function showQueue(items, workers, alive, nowMs) {
  const here = items.filter((item) => !isElsewhere(item));
  const count = (state) => here.reduce((total, item) => total + (item.progress.shards[state] ?? 0), 0);
  byId("no-queue").hidden = items.length > 0;
  byId("queue-order").hidden = here.length < 2;
  byId("queue").hidden = items.length === 0;
  byId("queue-summary").textContent = here.length > 0 ? `${plural(count("running"), "shard")} running, ${count("queued")} waiting` : "";
  fill(
    byId("queue"),
    [["Calibration"], ["State"], ["Trials"], ["Shards"], ["Workers"], ["Time left"], ["Submitted"]],
    items.map((item) => ({
      key: item.id,
      cells: [
        linkTo(item.id, item.name), stateOf(item), progress(item),
        isElsewhere(item) ? "trained elsewhere; waits for its trials" : shardsText(item), runners(item, workers), timeLeft(item), ago(Math.max(0, nowMs - Date.parse(item.created_at)) / 1000),
      ],
    })),
  );
  const waiting = count("queued") + count("running");
  const message = waiting > 0 && alive === 0 ? `${plural(waiting, "shard")} ${waiting === 1 ? "waits" : "wait"}, and no worker is alive to take ${waiting === 1 ? "it" : "them"}. Start one with widthwise work.` : "";
  if (byId("stuck").textContent !== message) byId("stuck").textContent = message;
  byId("stuck").hidden = !message;
}

function runners(item, workers) {
  const names = workers.filter(({ calibration_id: id }) => id === item.id).map(({ id }) => id);
  return names.length > 0 ? make("span", { class: "list" }, ...names.map((name) => make("code", {}, name))) : "–";
}
