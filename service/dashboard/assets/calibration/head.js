// The head of the page: name, note, state, how far it is, why it failed, and what was asked for.

import { byId, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { number } from "/assets/shared/numbers.js";
import { hasEnded, stateOf } from "/assets/shared/states.js";
import { grouped } from "/assets/calibration/gathered.js";
import { duration, plural, spaced } from "/assets/shared/words.js";
import { setting } from "/assets/calibration/words.js";

export const nameOf = (item) => item.name || item.id;
const link = (id, text = id) => make("a", { href: `/calibrations/${id}` }, text);
const when = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
const SHOWN = 12; // names in one list (chosen)

/** The head; children: the calibrations that extend this one. */
export function showHead(item, children) {
  document.title = `${nameOf(item)} · ${item.state}`;
  tell("name", nameOf(item));
  morph(byId("state"), [stateOf(item)]);
  tell("note", item.note);
  byId("rename").textContent = item.name ? "Rename" : "Name it";
  byId("edit-note").textContent = item.note ? "Edit the note" : "Add a note";
  morph(byId("how-far"), howFar(item));
  tell("reason", item.reason);
  morph(byId("facts"), facts(item, children).flatMap(([term, ...said]) => [make("div", { "data-key": term }, make("dt", {}, term), make("dd", {}, ...said))]));
}

function howFar(item) {
  const { trials_done: done, trials_total: total, shards, seconds_left: left } = item.progress;
  const said = [total > 0 ? `${done} of ${plural(total, "trial")}` : plural(done, "trial")];
  if (!hasEnded(item)) {
    if (item.state === "running" && left !== null) said.push(left < 1 ? "about to end" : `about ${duration(left)} left`);
    if (item.runner === "external") said.push("upload trials, then have them fitted");
    else if (item.cancel_requested) said.push("cancelling: running shards stop within seconds");
    else if (!shards.running && shards.queued) said.push("waits for a worker");
    else said.push(["running", "queued"].filter((state) => shards[state]).map((state) => `${plural(shards[state], "shard")} ${state}`).join(", ") || "being planned");
  } else if (item.started_at) said.push(`took ${duration((new Date(item.finished_at) - new Date(item.started_at)) / 1000)}`);
  const bar = hasEnded(item) || total === 0 ? null : make("progress", { max: total, value: done, "aria-label": "Trials done" });
  return [...(bar ? [bar] : []), make("span", {}, said.join(" · "))];
}

/** The shards whose attempts failed, each reason once, and none that the calibration's own reason has. */
export function showFailures(item, shards) {
  const failed = grouped(shards.filter((shard) => shard.reason && shard.state !== "succeeded" && !item.reason?.includes(shard.reason)), (shard) => shard.reason);
  morph(byId("failures"), [...failed].map(([reason, all]) => make("p", { class: "failure", "data-key": reason },
    make("strong", {}, all.length === 1 ? `Shard ${all[0].position + 1}, width ${all[0].width}` : `${all.length} shards, widths ${[...new Set(all.map((shard) => shard.width))].join(", ")}`),
    `${all.every((shard) => shard.state === "failed") ? " failed" : ""}: ${reason}`)));
}

function facts(item, children) {
  const { spec, estimate } = item;
  const proxy = spec.proxy;
  const parts = [`depth ${proxy.depth}`, proxy.architecture === "transformer" && `heads of ${proxy.head_dim}`, `${proxy.sequence_length} bytes of context`, `batch ${proxy.batch_size}`, proxy.feed_forward, proxy.qk_norm && "normed queries and keys", proxy.tied && "tied readout"].filter(Boolean);
  const rates = spec.learning_rates ?? [];
  const found = [
    ["Setting", setting(spec), spec.learning_rate_rule === "global" ? ", one learning rate for all tensors" : ""],
    ["Proxy", `${spec.proxy.architecture === "mlp" ? "MLP" : spaced(spec.proxy.architecture)} on ${proxy.dataset}: ${parts.join(", ")}`],
    ["Widths", spec.widths.join(", ")],
    ["Runs", `${spec.steps} steps, ${plural(spec.seeds, "seed")}`, rates.length > 0 ? `, ${rates.length} learning rates from ` : "", rates.length > 0 ? make("span", { class: "unbroken" }, `${number(rates[0], 3)} to ${number(rates.at(-1), 3)}`) : ""],
    ["Search", item.runner === "external" ? "trained elsewhere, uploaded" : searched(spec)],
    ["Measures", spec.measure.map(spaced).join(", ")],
    ["Expected", expected(estimate, item.extends !== null && item.runner !== "external")],
    ["Submitted", when(item.created_at)],
  ];
  if (item.extends) found.push(["Extends", link(item.extends)]);
  if (children.length > 0) found.push(["Extended by", ...children.slice(0, SHOWN).flatMap((child, index) => [index > 0 ? ", " : "", link(child.id, nameOf(child))]), children.length > SHOWN ? ", …" : ""]);
  if (item.name) found.push(["Identifier", make("code", {}, item.id)]);
  return found;
}

function searched(spec) {
  const asked = [spec.precision && `to ±${number(spec.precision)} octaves`, spec.budget && `within ${number(spec.budget, 3)} operations`, spec.target_width && `for width ${spec.target_width}`].filter(Boolean);
  return [spec.search, ...asked, `mesh of ${number(spec.mesh)} octaves`, !spec.early_stopping && "no early stopping"].filter(Boolean).join(", ");
}

/** What an estimate says in a few words. isMore: it is of what comes on top of trials that are there. */
export function expected(estimate, isMore) {
  const said = [plural(estimate.trials, isMore ? "further trial" : "trial"), `${number(estimate.flops, 3)} FLOPs`, estimate.seconds !== null && `${duration(estimate.seconds)}${estimate.workers ? ` on ${plural(estimate.workers, "worker")}` : ""}`];
  return `${estimate.upper_bound ? "at most " : ""}${said.filter(Boolean).join(", ")}`;
}
