// Behind the numbers: specification, code, devices, seeds, time and operations.

import { copy } from "/assets/shared/copying.js";
import { byId, fill, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { number } from "/assets/shared/numbers.js";
import { save } from "/assets/shared/saving.js";
import { grouped } from "/assets/calibration/gathered.js";
import { duration, plural, spaced } from "/assets/shared/words.js";

const DIGITS = 12; // of a digest: enough to tell two apart by eye
const KINDS = { sweep: "sweep", gamma: "γ sweep", horizon: "horizons" };

let spec = null;
let id = "";

const digest = (text) => make("code", { title: text }, text.slice(0, DIGITS));
const spread = (nodes) => nodes.flatMap((node, index) => (index > 0 ? [", ", node] : [node]));

export function showProvenance(item, trials, shards) {
  ({ spec, id } = item);
  const text = JSON.stringify(item.spec, null, 2);
  if (byId("spec").textContent !== text) byId("spec").textContent = text;
  morph(byId("provenance"), facts(item, trials, shards).map(([term, ...said]) => make("div", { "data-key": term }, make("dt", {}, term), make("dd", {}, ...said))));
  showTimes(trials);
}

function facts(item, trials, shards) {
  const { provenance } = item.result ?? {};
  const found = [["Trained by", item.runner === "external" ? "you, outside this service" : "this service's workers"]];
  if (provenance) {
    found.push(["Specification, SHA-256", digest(provenance.spec_sha256)]);
    if (provenance.code_sha256.length > 0) found.push(["Code, SHA-256", ...spread(provenance.code_sha256.map(digest))]);
    for (const each of provenance.environments) {
      const versions = Object.entries(each.versions ?? {}).map((pair) => pair.join(" ")).join(", ");
      found.push(["Device", [each.device, each.device_kind !== each.device && each.device_kind, each.platform].filter(Boolean).join(", ")], ["Versions", versions]);
      if (each.dataset_sha256) found.push(["Dataset, SHA-256", `${item.spec.proxy.dataset} `, digest(each.dataset_sha256)]);
      if (each.optimizer_constants) found.push(["Optimizer's constants", Object.entries(each.optimizer_constants).map(([name, value]) => `${spaced(name)} ${number(value)}`).join(", ")]);
    }
  } else {
    const devices = [...new Set(shards.map((shard) => shard.worker?.device).filter(Boolean))];
    if (devices.length > 0) found.push(["Device", devices.join(", ")]);
  }
  const workers = [...new Set(shards.map((shard) => shard.worker?.id).filter(Boolean))];
  if (workers.length > 0) found.push(["Workers", ...spread(workers.map((worker) => make("code", {}, worker)))]);
  const seeds = [...new Set(trials.map((trial) => trial.seed))].sort((one, other) => one - other);
  if (seeds.length > 0) found.push(["Seeds", seeds.join(", ")]);
  const timed = trials.filter((trial) => trial.seconds !== null);
  if (timed.length > 0) found.push(["Time in trials", `${duration(sum(timed, "seconds"))} in ${plural(timed.length, "trial")}`]);
  const counted = trials.filter((trial) => trial.flops !== null);
  if (counted.length > 0) found.push(["Operations", `${number(sum(counted, "flops"), 3)} FLOPs`]);
  return found;
}

const plus = (one, other) => one + other;
const sum = (trials, name) => trials.reduce((total, trial) => total + trial[name], 0);

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted.length > 0 ? sorted[Math.floor((sorted.length - 1) / 2)] : null;
}

function showTimes(trials) {
  const kindOf = (trial) => (trial.role !== null ? "gamma" : trial.horizon !== null ? "horizon" : "sweep");
  const groups = [...grouped(trials, (trial) => `${kindOf(trial)} ${trial.width}`)].map(([key, all]) => ({ key, kind: kindOf(all[0]), width: all[0].width, all }));
  groups.sort((one, other) => Object.keys(KINDS).indexOf(one.kind) - Object.keys(KINDS).indexOf(other.kind) || one.width - other.width);
  byId("times-part").hidden = groups.length === 0;
  const ends = ["completed", "stopped", "diverged", "failed"].filter((status) => trials.some((trial) => trial.status === status));
  const isTimed = trials.some((trial) => trial.seconds !== null); // not where they were uploaded
  const columns = ends.map((status) => [`${status[0].toUpperCase()}${status.slice(1)}`, true]);
  fill(byId("times"), [["Width", true], ["Of"], ["Trials", true], ...columns, ...(isTimed ? [["Median time", true], ["Time", true], ["FLOPs", true]] : [])], groups.map(({ key, kind, width, all }) => {
    const count = (status) => String(all.filter((trial) => trial.status === status).length);
    const seconds = all.map((trial) => trial.seconds).filter((value) => value !== null);
    const flops = all.map((trial) => trial.flops).filter((value) => value !== null);
    return { key, cells: [
      String(width), KINDS[kind], String(all.length), ...ends.map(count),
      ...(isTimed ? [seconds.length > 0 ? duration(median(seconds)) : "–", seconds.length > 0 ? duration(seconds.reduce(plus, 0)) : "–", flops.length > 0 ? number(flops.reduce(plus, 0), 3) : "–"] : []),
    ] };
  }));
}

byId("copy-spec").addEventListener("click", async () => {
  try {
    await copy(JSON.stringify(spec, null, 2));
    tell("spec-told", "The specification is copied.");
  } catch (error) {
    tell("spec-told", error.message);
  }
});
byId("download-spec").addEventListener("click", () => {
  save(new Blob([`${JSON.stringify(spec, null, 2)}\n`], { type: "application/json" }), `${id}.json`);
  tell("spec-told", `${id}.json is downloaded; widthwise calibrate takes it as it is.`);
});
