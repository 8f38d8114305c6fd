// What was found: optima, laws, predictions and exponents, each called what it is; while there is no fit, the best so far.

import { byId, fill, make, prose, tell, warningNodes } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { interval, number } from "/assets/shared/numbers.js";
import { hasEnded } from "/assets/shared/states.js";
import { grouped, mean } from "/assets/calibration/gathered.js";
import { between, bounded, signed, spaced } from "/assets/calibration/words.js";

export const THEORYS = ["none", "shift"]; // laws whose drift is theory's
export const LAWS = { none: "theory, no shift", shift: "shift in 1/width", power: "power of width" };
const OF_ALIGNMENT = ["alpha", "omega", "u"];
const ENDS = {
  precision: "the prediction is as precise as was asked", budget: "no further run that helps was within the budget",
  nothing_left: "no further run at these widths would have made it noticeably more precise",
};

export function showResults(item, trials) {
  const { result } = item;
  const parts = result ?? { optima: [], exponents: [], warnings: [] };
  const plain = trials.filter((trial) => trial.role === null && trial.horizon === null);
  byId("findings").hidden = !result && plain.length === 0;
  byId("findings-heading").textContent = result ? "What it found" : "Best so far";
  tell("found", result ? "" : hasEnded(item) ? "It ended without a fit. These are the best learning rates that its trials tried, without an interval." : "The best learning rates tried so far; intervals and exponents come with the fit at the end.");
  if (result) showOptima(result.optima);
  else showTried(plain);
  showLaws(parts);
  showPredictions(parts.predictions ?? []);
  showExponents(parts);
  tell("search-ended", parts.search ? searchEnded(parts.search) : "");
  morph(byId("cautions"), warningNodes(parts.warnings));
}

function showOptima(optima) {
  byId("optima-part").hidden = optima.length === 0;
  fill(byId("optima"), [["Width", true], ["Learning rate", true], ["95 % interval", true], ["Loss", true], ["Trials", true], ["Stopped", true], ["Diverged", true]], optima.map((found) => ({
    key: found.width,
    cells: [String(found.width), bounded(found), interval(found.interval), number(found.loss), String(found.completed + found.diverged + (found.stopped ?? 0)), String(found.stopped ?? 0), String(found.diverged)],
  })));
}

/** The best of the trials themselves, with the mean loss over its seeds. */
function showTried(trials) {
  const widths = [...grouped(trials, (trial) => trial.width)].sort(([one], [other]) => one - other);
  byId("optima-part").hidden = widths.length === 0;
  fill(byId("optima"), [["Width", true], ["Best tried", true], ["Loss", true], ["Trials", true], ["Stopped", true], ["Diverged", true]], widths.map(([width, all]) => {
    const cells = [...grouped(all.filter((trial) => trial.loss !== null), (trial) => trial.learning_rate)].map(([rate, runs]) => ({ rate, loss: mean(runs.map((run) => run.loss)) }));
    const best = cells.reduce((one, other) => (one && one.loss <= other.loss ? one : other), null);
    const count = (status) => String(all.filter((trial) => trial.status === status).length);
    return { key: width, cells: [String(width), number(best?.rate, 3), number(best?.loss), String(all.length), count("stopped"), count("diverged")] };
  }));
}

function showLaws({ candidates = [], drift, raw_slope: slope }) {
  byId("laws-part").hidden = candidates.length === 0;
  const chosen = candidates.find((law) => law.chosen);
  const raw = slope ? `; the optima alone go as width^(${signed(slope.value)} ± ${slope.standard_error.toFixed(2)})` : "";
  const said = drift ? `The best base learning rate goes as width^(−d) with d = ${signed(drift.value)}, 95 % interval ${between(drift.interval)}; 0 where theory's multipliers transfer.` : "No drift: that needs an optimum inside the learning rates at two widths.";
  tell("drift", chosen && THEORYS.includes(chosen.name) ? `${said} Theory, not refuted${raw}.` : said);
  fill(byId("laws"), [["Law"], ["Off by, octaves", true], ["Weight", true], ["Parameters"], ["Chosen"]], candidates.map((law) => ({
    key: law.name,
    cells: [
      LAWS[law.name] || law.name, number(law.out_of_sample_error, 2), number(law.weight, 2),
      Object.entries(law.parameters ?? {}).map(([name, value]) => `${spaced(name)} ${signed(value)}`).join(", "),
      law.chosen ? "yes" : "",
    ],
  })));
}

function showPredictions(predictions) {
  byId("predictions-part").hidden = predictions.length === 0;
  const isHeld = predictions.some((found) => found.ceiling);
  fill(byId("predictions"), [["Width", true], ["Learning rate", true], ["95 % interval", true], ...(isHeld ? [["Held below a divergence", true]] : [])], predictions.map((found) => ({
    key: found.width, cells: [String(found.width), number(found.learning_rate, 3), interval(found.interval), ...(isHeld ? [number(found.ceiling, 3)] : [])],
  })));
}

function showExponents({ exponents, candidates = [], gamma }) {
  byId("exponents-part").hidden = exponents.length === 0;
  const chosen = candidates.find((law) => law.chosen)?.name;
  const lawOf = (found) => (found.quantity === "learning_rate" ? chosen : found.quantity === "learning_rate_by_role" ? gamma?.drift.find(({ role }) => role === found.role)?.law : null);
  fill(byId("exponents"), [["Quantity"], ["Role"], ["Exponent", true], ["95 % interval", true], ["Theory", true], ["What it is"], ["Widths"]], exponents.map((found) => ({
    key: `${found.quantity} ${found.role}`,
    cells: [spaced(found.quantity), found.role, signed(found.value), between(found.interval), found.theory === null ? "–" : signed(found.theory), standing(found, lawOf(found)), found.widths.join(", ")],
  })));
}

/** What an exponent rests on: theory's that the optima do not refute is not measured. */
function standing(found, law) {
  if (THEORYS.includes(law)) return make("span", { class: "assumed" }, "theory, not refuted");
  if (found.quantity === "max_stable_learning_rate") return "from the measured alignment";
  const what = OF_ALIGNMENT.includes(found.quantity) ? "declared" : "theory";
  if (!found.interval) return "measured, without an interval";
  if (found.theory === null) return "measured";
  return found.interval[0] <= found.theory && found.theory <= found.interval[1] ? `measured, agrees with ${what}` : make("strong", {}, `measured, differs from ${what}`);
}

function searchEnded(search) {
  const at = search.half_width === null ? "without an interval" : `at ±${search.half_width.toFixed(2)} octaves`;
  return `The search ended ${at} for width ${search.target_width}, after ${number(search.flops, 3)} floating-point operations: ${ENDS[search.ended_by] ?? spaced(search.ended_by)}.`;
}

/** A verdict and remarks at the head of a panel. */
export function remarks(place, nodes) {
  morph(place, nodes.filter(Boolean).map((node) => (typeof node === "string" ? make("p", { class: "hint" }, ...prose(node)) : node)));
}
