// What was found: optima, laws, predictions and exponents, each called what it is.

import { byId, fill, make, prose, tell, warningNodes } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { interval, number } from "/assets/shared/numbers.js";
import { hasEnded } from "/assets/shared/states.js";
import { spaced } from "/assets/shared/words.js";
import { between, bounded, signed } from "/assets/calibration/words.js";

export const THEORYS = ["none", "shift"]; // laws whose drift is theory's
export const LAWS = { none: "theory, no shift", shift: "shift in 1/width", power: "power of width" };
const OF_ALIGNMENT = ["alpha", "omega", "u"];
const ENDS = {
  precision: "the prediction is as precise as was asked", budget: "no further run that helps was within the budget",
  nothing_left: "no further run at these widths would have made it noticeably more precise",
};

/** What the fit of the runs so far says: of a calibration that has succeeded, its result. */
export function showFit(item, fit) {
  byId("findings").hidden = false;
  byId("findings-heading").textContent = item.result ? "What it found" : "The fit so far";
  tell("found", item.result ? "" : hasEnded(item) ? "It ended without a result: this is the fit of the runs that it has." : "The fit of the runs so far; exponents come at the end.");
  showOptima(fit.widths);
  showLaws(fit);
  showPredictions(fit);
}

/** What only the result says, once there is one. */
export function showResults({ result }) {
  showExponents(result ?? { exponents: [] });
  tell("search-ended", result?.search ? searchEnded(result.search) : "");
  morph(byId("cautions"), warningNodes(result?.warnings ?? []));
}

function showOptima(widths) {
  byId("optima-part").hidden = widths.length === 0;
  fill(byId("optima"), [["Width", true], ["Learning rate", true], ["95 % interval", true], ["Loss", true], ["Runs"]], widths.map((each) => {
    const { optimum: best } = each;
    const rate = make("span", {}, best ? bounded(best) : "–");
    if (!best?.interval) rate.append(make("br"), make("small", {}, each.remark));
    const ends = ["diverged", "stopped"].filter((kind) => each[kind]).map((kind) => `${each[kind]} ${kind}`);
    return { key: each.width, cells: [String(each.width), rate, interval(best?.interval), number(best?.loss ?? null), [`${each.completed + each.diverged + each.stopped}`, ...ends].join(", ")] };
  }));
}

function showLaws({ candidates, drift, lines }) {
  byId("laws-part").hidden = candidates.length === 0;
  byId("weights").hidden = candidates.length < 2;
  tell("drift", drift ? `The best base learning rate goes as width^(−d) with d = ${signed(drift.value)}, 95 % interval ${between(drift.interval)}; 0 where theory's multipliers transfer.` : "No drift: that needs an optimum inside the learning rates at two widths.");
  fill(byId("laws"), [["Law"], ["Off at a width left out, octaves", true], ["Weight", true], ["Parameters"], ["Chosen"]], candidates.map((law) => ({
    key: law.name,
    cells: [
      lines.find((each) => each.law === law.name)?.name ?? law.name, number(law.out_of_sample_error, 2), number(law.weight, 2),
      Object.entries(law.parameters ?? {}).map(([name, value]) => `${spaced(name)} ${signed(value)}`).join(", "),
      law.chosen ? "yes" : "",
    ],
  })));
}

function showPredictions({ predictions, optima }) {
  byId("predictions-part").hidden = predictions.length === 0;
  const largest = Math.max(...optima.map((each) => each.width));
  const isHeld = predictions.some((found) => found.ceiling);
  fill(byId("predictions"), [["Width", true], ["Learning rate", true], ["95 % interval", true], ...(isHeld ? [["Held below a divergence", true]] : [])], predictions.map((found) => ({
    key: found.width, cells: [`${found.width} (×${found.width / largest})`, number(found.learning_rate, 3), interval(found.interval), ...(isHeld ? [number(found.ceiling, 3)] : [])],
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
