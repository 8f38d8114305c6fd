// The calibrations: the list, and the pictures, exponents, shards and events of the chosen one.

import { ago, badge, byId, element, fill, interval, number, showWarnings, tell } from "/assets/elements.js";
import { ask, follow, picture } from "/assets/service.js";

const TOGETHER_MS = 1000; // events come in bursts: read the shards once for all events of a second
const EVENTS_SHOWN = 8;
const FINAL = ["succeeded", "failed", "cancelled"];

let chosen = location.hash.slice(1) || null; // so that links can point to a calibration: /#ID
let followed = null; // the calibration whose events are followed, and how to stop following
let refreshList = () => {};

const calibrationState = (item) => badge(item.state, item.cancel_requested && !item.finished_at ? "cancelling" : item.state);

function progress(item) {
  const { trials_done: done, trials_total: total } = item.progress;
  const box = element("span", undefined, "progress");
  const bar = element("progress");
  bar.max = Math.max(total, 1);
  bar.value = done;
  bar.setAttribute("aria-label", `${done} of ${total} trials`);
  box.append(bar, ` ${done}/${total}`);
  return box;
}

/** Read and show the list; returns the calibrations with usable exponents. `refresh` requests another reading soon. */
export async function showCalibrations(refresh) {
  refreshList = refresh;
  const { items } = await ask("/v1/calibrations?limit=50");
  show(items);
  return items.filter((item) => item.result && item.result.exponents.length > 0);
}

function show(items) {
  byId("no-calibrations").hidden = items.length > 0;
  byId("calibrations").hidden = items.length === 0;
  byId("detail").hidden = items.length === 0;
  // Show the newest calibration with a result, or else the newest, until the user chooses another.
  if (!items.some((item) => item.id === chosen)) chosen = ((items.find((item) => item.result) || items[0]) ?? { id: null }).id;
  const lines = fill(
    byId("calibrations"),
    [["Calibration"], ["State"], ["Trials"], ["Setting"], ["Proxy"], ["Widths"], ["Submitted"]],
    items.map((item) => {
      const { spec } = item;
      const alignment = typeof spec.alignment === "string" ? spec.alignment : "measured";
      return [
        element("code", item.id), calibrationState(item), progress(item), `${spec.parameterization}, ${spec.optimizer}, ${alignment}`,
        `${spec.proxy.architecture}, ${spec.proxy.dataset}`, spec.widths.join(" "), new Date(item.created_at).toLocaleString(),
      ];
    }),
  );
  items.forEach((item, index) => {
    const line = lines[index];
    line.className = item.id === chosen ? "choice chosen" : "choice";
    line.tabIndex = 0;
    const choose = () => { chosen = item.id; history.replaceState(null, "", `#${chosen}`); tell("detail-error", ""); show(items); };
    line.addEventListener("click", choose);
    line.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(); });
    if (item.id === chosen) showDetail(item);
  });
}

function showDetail(item) {
  const active = !FINAL.includes(item.state);
  byId("detail-title").replaceChildren(element("code", item.id), " ", calibrationState(item));
  byId("retry").hidden = item.state !== "failed";
  byId("cancel").hidden = !active || item.cancel_requested;
  tell("detail-reason", item.reason);
  const version = `${item.id}-${item.progress.trials_done}-${item.state}`;
  if (byId("detail").dataset.shown !== version) {
    byId("detail").dataset.shown = version;
    for (const [name, path] of [["plot", item.links.plot], ["widths", item.links.widths]]) {
      picture(byId(name), path).catch((error) => { byId(name).alt = `Could not load the picture: ${error.message}`; byId("detail").dataset.shown = ""; });
    }
    showShards(item).catch((error) => tell("detail-error", error.message));
  }
  showResult(item.result || { exponents: [], optima: [], warnings: [] });
  if (followed?.id !== item.id) watch(item);
}

function showResult(result) {
  for (const [id, rows] of [["exponents", result.exponents], ["laws", result.candidates || []], ["optima", result.optima]]) {
    byId(id).closest("section").hidden = rows.length === 0;
  }
  fill(
    byId("exponents"),
    [["Quantity"], ["Role"], ["Exponent", true], ["95 % interval", true], ["Theory", true]],
    result.exponents.map((found) => [
      found.quantity.replaceAll("_", " "), found.role, number(found.value), interval(found.interval),
      found.theory === null ? "–" : number(found.theory),
    ]),
  );
  fill(
    byId("laws"),
    [["Law over width"], ["Error, octaves", true], ["Chosen"]],
    (result.candidates || []).map((law) => [
      { none: "theory, no shift", shift: "shift in 1/width", power: "power of width" }[law.name] || law.name,
      law.out_of_sample_error === null ? "–" : number(law.out_of_sample_error, 2), law.chosen ? chosenLaw(law, result.raw_slope) : "",
    ]),
  );
  fill(
    byId("optima"),
    [["Width", true], ["Learning rate", true], ["95 % interval", true], ["Loss", true]],
    result.optima.map((found) => {
      const side = { upper_bound: "< ", lower_bound: "> " }[found.kind];
      const rate = number(found.learning_rate);
      // Results stored before bounds were have only the edge of the grid.
      const best = !side ? rate : found.bound ? side + number(found.bound) : `edge, ${rate}`;
      return [String(found.width), best, interval(found.interval), number(found.loss)];
    }),
  );
  showWarnings("detail-warnings", result.warnings);
}

// A law with theory's drift was not refuted; the slope of the optima alone says how far they are from it.
function chosenLaw(law, slope) {
  if (law.name === "power" || !slope) return "yes";
  return `yes: theory, not refuted; the optima alone go as width^(${number(slope.value, 2)} ± ${number(slope.standard_error, 2)})`;
}

async function showShards(item) {
  const { items } = await ask(item.links.shards);
  if (item.id !== chosen) return;
  byId("shards").closest("section").hidden = items.length === 0;
  const lines = fill(
    byId("shards"),
    [["Shard", true], ["Work"], ["State"], ["Attempt", true], ["Worker"]],
    items.map((shard) => {
      const seeds = shard.seeds.length === 1 ? `seed ${shard.seeds[0]}` : `${shard.seeds.length} seeds`;
      const rates = shard.learning_rates.length === 1 ? "1 learning rate" : `${shard.learning_rates.length} learning rates`;
      return [
        String(shard.position + 1), `${shard.kind}, width ${shard.width}, ${shard.role ? `${shard.role}, ` : ""}${rates}, ${seeds}`,
        badge(shard.state), `${shard.attempts} of ${shard.attempts_maximum}`, shardWorker(shard),
      ];
    }),
  );
  items.forEach((shard, index) => {
    if (shard.state === "running" && shard.worker?.state === "stale") lines[index].className = "stale";
    if (shard.reason) {
      const why = element("small", shard.reason, "reason");
      lines[index].children[1].append(element("br"), why);
    }
  });
}

function shardWorker(shard) {
  if (!shard.worker) return "–";
  const box = element("span");
  box.append(element("code", shard.worker.id));
  if (shard.state === "running" && shard.worker.state === "stale") {
    const left = shard.lease_seconds > 0 ? `another takes over in ${Math.ceil(shard.lease_seconds)} s` : "the next free worker takes over";
    box.append(" ", badge("stale"), element("br"), element("small", `last seen ${ago(shard.worker.seconds_since_seen)}; ${left}`));
  }
  return box;
}

/** Follow the events of the calibration while it is shown. */
function watch(item) {
  followed?.stop.abort();
  followed = { id: item.id, stop: new AbortController() };
  byId("events").replaceChildren();
  byId("events").closest("section").hidden = true;
  if (FINAL.includes(item.state)) return;
  const mine = followed;
  let pending = 0;
  follow(item.links.events, mine.stop.signal, (kind, data) => {
    if (mine !== followed) return;
    showEvent(kind, data);
    pending ||= setTimeout(() => { pending = 0; refreshList(); }, TOGETHER_MS);
  });
}

function showEvent(kind, data) {
  const text = {
    trial: () => `width ${data.width}, learning rate ${number(data.learning_rate)}, seed ${data.seed}: ${data.loss === null ? data.status : `loss ${number(data.loss)}`}`,
    measurement: () => `width ${data.width}, seed ${data.seed}: ${data.kind} measured`,
    shard: () => `shard ${data.from || "new"} → ${data.to}`,
    calibration: () => `calibration ${data.from || "new"} → ${data.to}`,
    round: () => "planned more shards",
  }[kind];
  if (!text) return;
  const line = element("li");
  line.append(element("small", new Date(data.created_at).toLocaleTimeString()), ` ${text()}`);
  const list = byId("events");
  list.closest("section").hidden = false;
  list.prepend(line);
  while (list.children.length > EVENTS_SHOWN) list.lastChild.remove();
}

/** After a retry or a new key: read everything again, including the events. */
export function startOver() {
  byId("detail").dataset.shown = "";
  followed?.stop.abort();
  followed = null;
  refreshList();
}

async function change(action, button) {
  button.disabled = true;
  try {
    await ask(`/v1/calibrations/${encodeURIComponent(chosen)}/${action}`, { method: "POST" });
    tell("detail-error", "");
    startOver();
  } catch (error) {
    tell("detail-error", error.message);
  } finally {
    button.disabled = false;
  }
}

for (const action of ["retry", "cancel"]) byId(action).addEventListener("click", (event) => change(action, event.currentTarget));
