// The law over the axes: a sentence and a number for each axis, the formula, and whether the axes act apart.

import { make, warningNodes } from "/assets/shared/elements.js";
import { number } from "/assets/shared/numbers.js";
import { minus, spaced } from "/assets/shared/words.js";
import { factor } from "/assets/sweep/words.js";

const MOSTLY_PRIOR = 0.5; // share of the prior's variance that the data removed, as in widthwise.sweeps.cautions

const share = (learnt) => `${Math.round(100 * learnt)} %`;
const fixed = (value) => minus((Number(value.toFixed(2)) || 0).toFixed(2)); // || 0: no −0.00
const exponent = ({ value, interval: [low, high] }) => minus(`${fixed(value)} ± ${((high - low) / 2).toFixed(2)}`);
const entry = (fit, name) => fit.law.find((one) => one.name === name);

/** The geometric mean of an axis over the cells: the place to which the law's level belongs. */
const middle = (fit, name) => 2 ** (fit.optima.reduce((sum, { axes }) => sum + Math.log2(axes[name]), 0) / fit.optima.length);

/** The nodes that show a fit's law. */
export function lawNodes(fit, prescribed) {
  const axes = Object.entries(fit.optima[0].axes);
  const numbers = axes.filter(([, value]) => typeof value !== "string").map(([name]) => name).filter((name) => entry(fit, name));
  const groups = axes.filter(([, value]) => typeof value === "string").map(([name]) => name);
  const nodes = [...numbers.map((name) => axisNode(fit, name, prescribed.includes(name))), ...groups.map((name) => groupNode(fit, name)), ...saturationNodes(fit)];
  if (nodes.length === 0) nodes.push(make("p", {}, "The runs have no axis: there is one cell, and no law."));
  const apart = !entry(fit, "batch_exponent") || !entry(fit, "saturation_exponent");
  if (numbers.length + groups.length > 1) {
    nodes.push(make("p", {}, make("strong", {}, apart ? "Separable: " : "Not separable: "), apart
      ? "each axis multiplies the best rate by a factor of its own, whatever the others are."
      : "the batch at which the best rate stops growing moves with the tokens, so batch and tokens act together; the other axes act by themselves."));
  }
  nodes.push(make("p", { class: "law-formula" }, ...formula(fit, numbers, groups)));
  if (groups.length > 0) nodes.push(make("p", { class: "hint" }, "The offset is the factor of a word, as above."));
  if (fit.optima.length > 1) nodes.push(make("p", {}, `Single cells scatter by ${fit.scatter.toFixed(2)} octaves about it (${factor(2 ** fit.scatter)}), more than their curves explain: no cell lies on a law.`));
  if (numbers.length > 0) nodes.push(make("p", { class: "hint" }, "± is half of the 95 % interval."));
  return [...nodes, ...warningNodes(fit.warnings)];
}

function axisNode(fit, name, isPrescribed) {
  const one = entry(fit, name);
  const [low, high] = one.interval.map((each) => 2 ** each);
  const sure = one.interval[0] > 0 || one.interval[1] < 0;
  const doubled = `Twice the ${spaced(name)}: ${factor(2 ** one.value)} the rate (95 %: ${factor(low)} to ${factor(high)})`;
  const weak = one.learnt < MOSTLY_PRIOR ? ` Mostly what was expected before any data: the runs removed ${share(one.learnt)} of that doubt.` : "";
  const beyond = isPrescribed ? " This is beyond what the parameterization prescribes." : "";
  return make("p", { class: "axis-law" }, make("span", { class: "exponent" }, make("strong", {}, spaced(name)), make("code", {}, exponent(one))), make("span", {}, `${doubled}${sure ? "." : "; no effect at all is possible too."}${beyond}${weak}`));
}

function groupNode(fit, name) {
  const levels = fit.law.filter((one) => one.name.startsWith(`${name}=`));
  const told = levels.map(({ name: level, value, interval: [low, high] }) => `${level.slice(name.length + 1)} ${factor(2 ** value)} (${factor(2 ** low)} to ${factor(2 ** high)})`);
  return make("p", { class: "axis-law" }, make("span", { class: "exponent" }, make("strong", {}, spaced(name))), make("span", {}, `${told.join(", ")}.`));
}

function saturationNodes(fit) {
  const batch = fit.saturation_batch;
  if (!batch) return [];
  const power = entry(fit, "batch_exponent");
  return [make("p", { class: "axis-law" }, make("span", { class: "exponent" }, make("strong", {}, "batch tokens"), make("code", {}, exponent(power))), make("span", {},
    `Twice the batch tokens: ${factor(2 ** power.value)} the rate while the batch is small; it stops growing near ${number(batch.value, 3)} tokens (95 %: ${number(batch.interval[0], 2)} to ${number(batch.interval[1], 2)}).`))];
}

function formula(fit, numbers, groups) {
  const nodes = [`rate ≈ ${number(2 ** entry(fit, "level").value, 3)}`];
  for (const name of numbers) nodes.push(" · (", make("i", {}, spaced(name)), ` / ${number(middle(fit, name), 3)})`, make("sup", {}, fixed(entry(fit, name).value)));
  if (groups.length > 0) nodes.push(` · offset of ${groups.map(spaced).join(", ")}`);
  if (fit.saturation_batch) {
    const q = Math.exp(entry(fit, "log_sharpness").value);
    const p = entry(fit, "batch_exponent").value;
    const moves = entry(fit, "saturation_exponent");
    nodes.push(" · (1 + (", make("i", {}, "B"), make("sub", {}, "c"), " / ", make("i", {}, "batch"), ")", make("sup", {}, number(q, 2)), ")", make("sup", {}, fixed(-p / q)));
    nodes.push(", ", make("i", {}, "B"), make("sub", {}, "c"), ` = ${number(fit.saturation_batch.value, 3)}`);
    if (moves) nodes.push(" · (", make("i", {}, "tokens"), ` / ${number(middle(fit, "tokens"), 3)})`, make("sup", {}, fixed(moves.value)));
  }
  return nodes;
}
