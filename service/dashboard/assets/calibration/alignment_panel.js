// α, ω and u through training, by role.

import { byId, fill, make } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { number } from "/assets/shared/numbers.js";
import { hasEnded } from "/assets/shared/states.js";
import { grouped, mean } from "/assets/calibration/gathered.js";
import { panelFigure } from "/assets/calibration/panel_picture.js";
import { remarks } from "/assets/calibration/results.js";
import { between, signed, waiting } from "/assets/calibration/words.js";

const SYMBOLS = { alpha: "α", omega: "ω", u: "u" };
const MEANING = "α: the update with the activations; ω: the initial weights with the activations' change; u: the update with that change.";
const RANDOM = 0.5; // exponent of a sum of random signs
const ALIGNED = 1; // of terms that all agree

export function showAlignment(item, measurements) {
  const part = item.result?.alignment;
  const runs = measurements.filter(({ kind }) => kind === "alignment");
  byId("alignment").hidden = !item.spec.measure.includes("alignment");
  if (byId("alignment").hidden) return;
  const widest = Math.max(...runs.map((run) => run.width));
  remarks(byId("alignment-told"), [
    MEANING,
    part ? "Exponents over width, step by step. ½ is a sum of random signs, 1 full alignment; the largest of each, held to that range, decides how large a learning rate stays stable." : null,
    part && part.logits !== null ? `With the largest stable learning rates, logits move as width^(${signed(-part.logits)}) (0: neither growing nor vanishing), features as width^(${part.feature_change.map((r) => signed(-r)).join(") and (")}) of embedding and hidden.` : null,
    !part && runs.length > 0 ? `Readings at width ${widest}, of one width alone; the exponents over width come with the fit at the end.` : null,
    !part && runs.length === 0 ? waiting(item, hasEnded(item)) : null,
  ]);
  const series = part ? fitted(part) : raw(runs.filter((run) => run.width === widest));
  morph(byId("alignment-pictures"), Object.keys(SYMBOLS).map((name) => {
    const lines = series.filter((line) => line.quantity === name);
    return panelFigure({
      key: name, title: `${SYMBOLS[name]} over steps`, lines, x: { log: false, ticks: true }, y: { log: false, least: 0.6, marks: [RANDOM, ALIGNED] },
      told: `${SYMBOLS[name]} over steps: ${lines.map(({ look, points }) => `${look} ${points.map(([step, value]) => `${signed(value)} at ${step}`).join(", ")}`).join("; ")}`,
      legend: lines.map(({ look }) => ({ look, name: look })),
    });
  }).filter(Boolean));
  byId("alignment-table").hidden = !part;
  if (!part) return;
  const declared = (found) => item.result.exponents.find((each) => each.quantity === found.quantity && each.role === found.role)?.theory;
  fill(byId("alignment-table"), [["Exponent"], ["Largest", true], ["95 % interval", true], ["At step", true], ["Used", true], ["Declared", true]], part.measured.map((found) => ({
    key: `${found.quantity} ${found.role}`,
    cells: [make("span", {}, `${SYMBOLS[found.quantity]} of ${found.role}`), signed(found.exponent.value), between(found.exponent.interval), String(found.step), signed(found.used), declared(found) === undefined ? "–" : number(declared(found))],
  })));
}

const fitted = (part) => part.measured.map((found) => ({
  quantity: found.quantity, look: found.role,
  points: found.steps.map(({ step, exponent }) => [step, exponent.value]),
  intervals: found.steps.filter(({ exponent }) => exponent.interval).map(({ step, exponent }) => [step, ...exponent.interval]),
}));

/** What the runs of one width read, averaged over tensors and seeds. */
function raw(runs) {
  const seen = runs.flatMap((run) => run.data.snapshots.flatMap(({ step, tensors }) => Object.values(tensors).flatMap((tensor) => Object.keys(SYMBOLS).map((quantity) => ({ quantity, role: tensor.role, step, value: tensor[quantity] }))))).filter(({ value, role }) => value !== null && value !== undefined && role !== "embedding");
  return [...grouped(seen, ({ quantity, role }) => `${quantity} ${role}`).values()].map((all) => ({
    quantity: all[0].quantity, look: all[0].role,
    points: [...grouped(all, ({ step }) => step)].sort(([one], [other]) => one - other).map(([step, each]) => [step, mean(each.map(({ value }) => value))]),
  }));
}
