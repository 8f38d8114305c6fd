// What a calibration will take, as the service estimates it.

import { byId, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { number } from "/assets/shared/numbers.js";
import { duration } from "/assets/shared/words.js";

const count = (value) => value.toLocaleString("en");

function time({ seconds, workers }, architecture) {
  const shared = `on ${workers} ${workers === 1 ? "worker" : "workers"}`;
  return seconds === null ? `not known: no ${architecture} has been trained here yet` : `about ${duration(seconds)} ${shared}`;
}

/** Show an answer of the service. */
export function showEstimate({ spec, estimate }) {
  const most = estimate.upper_bound ? "at most " : "";
  const isExternal = spec.runner === "external";
  const facts = [
    ["Trials", `${most}${count(estimate.trials)}`],
    !isExternal && ["Shards", `${most}${count(estimate.shards)}`],
    ["Steps", `${most}${count(estimate.training_steps)}`],
    ["Operations", `${most}${number(estimate.flops, 3)} FLOPs`],
    ["Time", isExternal ? "yours: this service trains nothing" : `${seconds(estimate) ? most : ""}${time(estimate, spec.proxy.architecture)}`],
  ].filter(Boolean);
  const why = estimate.upper_bound ? "The search ends as soon as it knows enough." : isExternal ? "" : "If no trial stops early, and every optimum lies within the learning rates.";
  morph(byId("estimate"), [
    make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    make("p", { class: "hint" }, why),
  ]);
  tell("estimate-told", `${facts[0][1]} trials, ${isExternal ? "trained by you" : facts.at(-1)[1]}.`);
}

const seconds = (estimate) => estimate.seconds !== null;

/** The learning rates of a specification in a line. */
export function ratesOf({ learning_rates: rates }) {
  const steps = rates.slice(1).map((rate, index) => Math.log2(rate / rates[index]));
  const isEven = steps.every((step) => Math.abs(step - steps[0]) < 1e-3);
  return `${rates.length} rates, ${number(rates[0], 3)} to ${number(rates.at(-1), 3)}${isEven ? `, in steps of ${number(steps[0], 3)} octaves` : ""}.`;
}
