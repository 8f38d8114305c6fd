// What failed and why: calibrations, their shards, and attempts whose shard waits for another.

import { badge, byId, fill, make } from "/assets/shared/elements.js";
import { plural } from "/assets/shared/words.js";
import { linkTo } from "/assets/workers/work.js";

/** The shards that had a failed attempt: those with the same reason and state are one group. */
function groups(shards) {
  const found = new Map();
  for (const shard of shards.filter(({ reason, state }) => reason && state !== "succeeded")) {
    const key = `${shard.state} ${shard.reason}`;
    found.set(key, [...(found.get(key) ?? []), shard]);
  }
  return [...found.values()];
}

function line(item, group) {
  const [{ state, reason }] = group;
  const widths = [...new Set(group.map(({ width }) => width))].sort((one, other) => one - other);
  const what = `${plural(group.length, "shard")}, width${widths.length > 1 ? "s" : ""} ${widths.join(", ")}`;
  const attempts = [...new Set(group.map((shard) => `${shard.attempts} of ${shard.attempts_maximum}`))].join("; ");
  const ran = state === "running" ? [] : [...new Set(group.map(({ worker }) => worker?.id).filter(Boolean))]; // whoever runs it now is not to blame
  const last = group.map(({ finished_at: end, started_at: start }) => end ?? start).filter(Boolean).sort().pop();
  return {
    key: `${item.id} ${state} ${reason}`,
    cells: [linkTo(item.id, item.name), what, stateWord(state), reason, attempts, ran.length > 0 ? make("span", { class: "list" }, ...ran.map((id) => make("code", {}, id))) : "–", last ? new Date(last).toLocaleString() : "–"],
  };
}

const stateWord = (state) => badge(state === "queued" ? "stale" : state, { queued: "tried again", running: "tried again" }[state] ?? state);

/** Show failures. items: failed calibrations, newest first, and those that run; shards: of each calibration by its id. */
export function showFailures(items, shards, hasMore) {
  const lines = items.flatMap((item) => {
    const parts = groups(shards.get(item.id) ?? []).map((group) => line(item, group));
    if (item.state !== "failed" || parts.length > 0) return parts; // the reason of the whole repeats those of its shards
    return [{ key: item.id, cells: [linkTo(item.id, item.name), "the calibration", badge("failed"), item.reason ?? "–", "–", "–", item.finished_at ? new Date(item.finished_at).toLocaleString() : "–"] }];
  });
  byId("no-failures").hidden = lines.length > 0;
  byId("failures").hidden = lines.length === 0;
  byId("more-failures").hidden = !hasMore;
  const failed = items.filter(({ state }) => state === "failed").length;
  byId("failures-summary").textContent = failed > 0 ? `${hasMore ? "the newest " : ""}${plural(failed, "calibration")}` : "";
  fill(byId("failures"), [["Calibration"], ["What"], ["State"], ["Reason"], ["Attempts"], ["Worker"], ["When"]], lines);
}
