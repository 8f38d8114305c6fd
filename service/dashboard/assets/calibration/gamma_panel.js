// γ: the best multiplier of each role's learning rate, over width.

import { byId, fill } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { interval, number } from "/assets/shared/numbers.js";
import { hasEnded } from "/assets/shared/states.js";
import { grouped, mean } from "/assets/calibration/gathered.js";
import { panelFigure } from "/assets/calibration/panel_picture.js";
import { LAWS, THEORYS, remarks } from "/assets/calibration/results.js";
import { between, bounded, signed, waiting } from "/assets/calibration/words.js";

export function showGamma(item, trials) {
  const part = item.result?.gamma;
  const swept = trials.filter((trial) => trial.role !== null && trial.loss !== null);
  byId("gamma").hidden = !item.spec.measure.includes("gamma");
  if (byId("gamma").hidden) return;
  remarks(byId("gamma-told"), [
    part && Object.keys(part.base?.gamma ?? {}).length > 0 ? `Constants to tune a model of width ${part.base.width} with: ${Object.entries(part.base.gamma).map(([role, gamma]) => `${role} ×${number(gamma, 3)}`).join(", ")}.` : null,
    !part && swept.length > 0 ? "The best γ tried so far; intervals come with the fit at the end." : null,
    !part && swept.length === 0 ? (hasEnded(item) ? waiting(item, true) : "Waits: γ is swept around the best learning rate, once that is known.") : null,
  ]);
  const found = part ? part.optima : tried(swept);
  const lines = [...grouped(found, ({ role }) => role)].map(([role, all]) => ({
    look: role, points: all.map((each) => [each.width, each.gamma]), intervals: all.filter((each) => each.interval).map((each) => [each.width, ...each.interval]),
    hollow: all.filter((each) => each.bound).map((each) => each.width),
  }));
  morph(byId("gamma-pictures"), [panelFigure({
    key: "gamma", title: `Best γ over width${lines.some((line) => line.hollow.length > 0) ? "; hollow: a bound" : ""}`, lines, x: { log: true }, y: { log: true, least: 1 },
    told: `Best γ over width: ${found.map((each) => `${each.role} at ${each.width} ${bounded(each, "gamma")}`).join(", ")}`,
    legend: lines.map(({ look }) => ({ look, name: look })),
  })].filter(Boolean));
  byId("gamma-drift").hidden = !part || part.drift.length === 0;
  fill(byId("gamma-drift"), [["Role"], ["γ ∝ width^(−d), d", true], ["95 % interval", true], ["Its learning rate over width"]], (part?.drift ?? []).map((each) => ({
    key: each.role, cells: [each.role, signed(each.value), between(each.interval), THEORYS.includes(each.law) ? `${LAWS[each.law]}: not refuted` : `${LAWS[each.law] ?? each.law}: measured`],
  })));
  byId("gamma-table").hidden = found.length === 0;
  fill(byId("gamma-table"), [["Role"], ["Width", true], [part ? "γ" : "Best γ tried", true], ["95 % interval", true], ["Base learning rate", true], ["Loss", true]], found.map((each) => ({
    key: `${each.role} ${each.width}`, cells: [each.role, String(each.width), bounded(each, "gamma"), interval(each.interval), number(each.learning_rate, 3), number(each.loss)],
  })));
}

/** The best γ of the trials themselves, by role and width. */
function tried(swept) {
  return [...grouped(swept, ({ role, width }) => `${role} ${width}`).values()].map((all) => {
    const cells = [...grouped(all, ({ learning_rate: rate, gamma }) => `${rate} ${gamma}`).values()].map((runs) => ({ ...runs[0], loss: mean(runs.map((run) => run.loss)) }));
    const { role, width, gamma, learning_rate, loss } = cells.reduce((one, other) => (one.loss <= other.loss ? one : other));
    return { role, width, gamma, learning_rate, loss, interval: null };
  }).sort((one, other) => one.role.localeCompare(other.role) || one.width - other.width);
}
