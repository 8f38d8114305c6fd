// The shards: what each one runs, where, and why an attempt failed.

import { badge, byId, fill, make } from "/assets/shared/elements.js";
import { ago } from "/assets/shared/numbers.js";
import { plural } from "/assets/shared/words.js";

export function showShards(shards) {
  byId("shards-part").hidden = shards.length === 0;
  fill(
    byId("shards"),
    [["Shard", true], ["Work"], ["State"], ["Attempt", true], ["Worker"]],
    shards.map((shard) => {
      const seeds = shard.seeds.length === 1 ? `seed ${shard.seeds[0]}` : `${shard.seeds.length} seeds`;
      const work = make("span", {}, `${shard.kind}, width ${shard.width}, ${shard.role ? `${shard.role}, ` : ""}${plural(shard.learning_rates.length, "learning rate")}, ${seeds}`);
      if (shard.reason) work.append(make("br"), make("small", { class: "reason" }, shard.reason));
      return {
        key: shard.position, class: shard.state === "running" && shard.worker?.state === "stale" ? "stale" : null,
        cells: [String(shard.position + 1), work, badge(shard.state), `${shard.attempts} of ${shard.attempts_maximum}`, shardWorker(shard)],
      };
    }),
  );
}

function shardWorker(shard) {
  if (!shard.worker) return "–";
  const box = make("span", {}, make("code", {}, shard.worker.id));
  if (shard.state === "running" && shard.worker.state === "stale") {
    const left = shard.lease_seconds > 0 ? `another takes over in ${Math.ceil(shard.lease_seconds)} s` : "the next free worker takes over";
    box.append(" ", badge("stale"), make("br"), make("small", {}, `last seen ${ago(shard.worker.seconds_since_seen)}; ${left}`));
  }
  return box;
}
