// One calibration: its pictures, exponents, shards and events.

import { badge, byId, fill, make, tell, warningNodes } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { ago, interval, number } from "/assets/shared/numbers.js";
import { refresh } from "/assets/shared/page.js";
import { ask, follow } from "/assets/shared/service.js";
import { hasEnded, stateOf } from "/assets/shared/states.js";
import { pictureEvent, showPictures } from "/assets/calibration/pictures.js";

const READ_MS = 5000; // between readings (chosen); what happens to it arrives at once, as an event
const TOGETHER_MS = 1000; // events come in bursts: read the shards once for all events of a second
const EVENTS_SHOWN = 8;

const id = decodeURIComponent(location.pathname.split("/").pop());
const address = `/v1/calibrations/${encodeURIComponent(id)}`;
let followed = null; // how to stop following the events

function showDetail(item) {
  const active = !hasEnded(item);
  morph(byId("detail-title"), [make("code", {}, item.id), document.createTextNode(" "), stateOf(item)]);
  byId("retry").hidden = item.state !== "failed";
  byId("cancel").hidden = !active || item.cancel_requested;
  tell("detail-reason", item.reason);
  const version = `${item.id}-${item.progress.trials_done}-${item.state}`;
  if (byId("detail").dataset.shown !== version) {
    byId("detail").dataset.shown = version;
    showShards(item).catch((error) => tell("detail-error", error.message));
  }
  showResult(item.result || { exponents: [], optima: [], warnings: [] });
  showPictures(item);
  if (!followed) watch(item);
}

function showResult(result) {
  for (const [id, rows] of [["exponents", result.exponents], ["laws", result.candidates || []], ["optima", result.optima]]) {
    byId(id).closest("section").hidden = rows.length === 0;
  }
  fill(
    byId("exponents"),
    [["Quantity"], ["Role"], ["Exponent", true], ["95 % interval", true], ["Theory", true]],
    result.exponents.map((found) => ({
      key: `${found.quantity} ${found.role}`,
      cells: [found.quantity.replaceAll("_", " "), found.role, number(found.value), interval(found.interval), found.theory === null ? "–" : number(found.theory)],
    })),
  );
  fill(
    byId("laws"),
    [["Law over width"], ["Error, octaves", true], ["Chosen"]],
    (result.candidates || []).map((law) => ({
      key: law.name,
      cells: [
        { none: "theory, no shift", shift: "shift in 1/width", power: "power of width" }[law.name] || law.name,
        law.out_of_sample_error === null ? "–" : number(law.out_of_sample_error, 2), law.chosen ? chosenLaw(law, result.raw_slope) : "",
      ],
    })),
  );
  fill(
    byId("optima"),
    [["Width", true], ["Learning rate", true], ["95 % interval", true], ["Loss", true]],
    result.optima.map((found) => {
      const side = { upper_bound: "< ", lower_bound: "> " }[found.kind];
      const rate = number(found.learning_rate);
      // Results stored before bounds were have only the edge of the grid.
      const best = !side ? rate : found.bound ? side + number(found.bound) : `edge, ${rate}`;
      return { key: found.width, cells: [String(found.width), best, interval(found.interval), number(found.loss)] };
    }),
  );
  morph(byId("detail-warnings"), warningNodes(result.warnings));
}

// A law with theory's drift was not refuted; the slope of the optima alone says how far they are from it.
function chosenLaw(law, slope) {
  if (law.name === "power" || !slope) return "yes";
  return `yes: theory, not refuted; the optima alone go as width^(${number(slope.value, 2)} ± ${number(slope.standard_error, 2)})`;
}

async function showShards(item) {
  const { items: shards } = await ask(item.links.shards);
  byId("shards").closest("section").hidden = shards.length === 0;
  fill(
    byId("shards"),
    [["Shard", true], ["Work"], ["State"], ["Attempt", true], ["Worker"]],
    shards.map((shard) => {
      const seeds = shard.seeds.length === 1 ? `seed ${shard.seeds[0]}` : `${shard.seeds.length} seeds`;
      const rates = shard.learning_rates.length === 1 ? "1 learning rate" : `${shard.learning_rates.length} learning rates`;
      const work = make("span", {}, `${shard.kind}, width ${shard.width}, ${shard.role ? `${shard.role}, ` : ""}${rates}, ${seeds}`);
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

/** Follow the events of the calibration while it is shown. */
function watch(item) {
  followed = new AbortController();
  byId("events").replaceChildren();
  byId("events").closest("section").hidden = true;
  if (hasEnded(item)) return;
  const mine = followed;
  let pending = 0;
  follow(item.links.events, mine.signal, (kind, data) => {
    if (mine !== followed) return;
    showEvent(kind, data);
    pictureEvent(kind, data);
    pending ||= setTimeout(() => { pending = 0; read(); }, TOGETHER_MS);
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
  const line = make("li", {}, make("small", {}, new Date(data.created_at).toLocaleTimeString()), ` ${text()}`);
  const list = byId("events");
  list.closest("section").hidden = false;
  list.prepend(line);
  while (list.children.length > EVENTS_SHOWN) list.lastChild.remove();
}

/** After a retry or a new key: read everything again, including the events. */
function startOver() {
  byId("detail").dataset.shown = "";
  followed?.abort();
  followed = null;
  read();
}

async function change(action, button) {
  button.disabled = true;
  try {
    await ask(`${address}/${action}`, { method: "POST" });
    tell("detail-error", "");
    startOver();
  } catch (error) {
    tell("detail-error", error.message);
  } finally {
    button.disabled = false;
  }
}

for (const action of ["retry", "cancel"]) byId(action).addEventListener("click", (event) => change(action, event.currentTarget));

const read = refresh(READ_MS, async () => showDetail(await ask(address)));
