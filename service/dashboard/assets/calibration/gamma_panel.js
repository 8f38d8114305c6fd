// γ: every run of a role's multiplier, and the best one over width.

import { byId, fill } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { interval, number } from "/assets/shared/numbers.js";
import { hasEnded } from "/assets/shared/states.js";
import { grouped } from "/assets/calibration/gathered.js";
import { GAMMA } from "/assets/calibration/losses.js";
import { multiplesIn } from "/assets/calibration/multiples.js";
import { panelFigure } from "/assets/calibration/panel_picture.js";
import { LAWS, THEORYS, remarks } from "/assets/calibration/results.js";
import { bestTried, knownOf } from "/assets/calibration/swept.js";
import { between, bounded, signed, waiting } from "/assets/calibration/words.js";

const drawn = multiplesIn(byId("gamma-runs"), { over: GAMMA, titled: (role) => role, of: (role) => ` of ${role}`, order: (one, other) => one.localeCompare(other) });
const cells = new Map(); // by width and base learning rate: the runs there, by their keys

/** Draw runs that are new or have another outcome: those of γ, and those of the plain sweep beside them, whose γ is 1. */
export function showGammaRuns(runs) {
  const added = []; // with their roles
  for (const run of runs) {
    if (run.horizon !== null) continue;
    const cell = cellOf(run);
    if (run.role === null) {
      const plain = { ...run, gamma: 1 };
      cell.plain.set(run.key, plain);
      for (const role of cell.roles.keys()) added.push([role, plain]);
    } else {
      if (!cell.roles.has(run.role)) {
        cell.roles.set(run.role, new Map());
        for (const plain of cell.plain.values()) added.push([run.role, plain]);
      }
      cell.roles.get(run.role).set(run.key, run);
      added.push([run.role, run]);
    }
  }
  for (const [role, all] of grouped(added, ([role]) => role)) drawn.add(role, all.map(([, run]) => run));
}

function cellOf({ width, learning_rate }) {
  const key = `${width} ${learning_rate}`;
  if (!cells.has(key)) cells.set(key, { width, learning_rate, plain: new Map(), roles: new Map() });
  return cells.get(key);
}

/** Each role's sweep of each width. Of several base learning rates it is that of the result, or the first. */
function sweeps(part) {
  const all = [...cells.values()].flatMap(({ width, learning_rate, plain, roles }) => [...roles].map(([role, swept]) => ({ role, width, learning_rate, runs: [...plain.values(), ...swept.values()] })));
  return [...grouped(all, ({ role, width }) => `${role} ${width}`).values()].map((found) => {
    const optimum = part && (part.optima.find((each) => each.role === found[0].role && each.width === found[0].width) ?? null);
    return { ...(found.find((each) => each.learning_rate === optimum?.learning_rate) ?? found[0]), optimum };
  }).sort((one, other) => one.role.localeCompare(other.role) || one.width - other.width);
}

export function showGamma(item) {
  const part = item.result?.gamma;
  byId("gamma").hidden = !item.spec.measure.includes("gamma");
  if (byId("gamma").hidden) return;
  const swept = sweeps(part);
  drawn.plan(item.spec.widths);
  for (const [role, all] of grouped(swept, (each) => each.role)) drawn.fitted(role, all.map(({ width, runs, optimum }) => knownOf(GAMMA, width, runs, optimum)));
  remarks(byId("gamma-told"), [
    part && Object.keys(part.base?.gamma ?? {}).length > 0 ? `Constants to tune a model of width ${part.base.width} with: ${Object.entries(part.base.gamma).map(([role, gamma]) => `${role} ×${number(gamma, 3)}`).join(", ")}.` : null,
    !part && swept.length > 0 ? "The best γ tried so far; intervals come with the fit at the end." : null,
    swept.length > 0 ? "Each picture has every run of one role, at the base learning rate that was best at its width. Runs at γ = 1 are those of the plain sweep." : null,
    !part && swept.length === 0 ? (hasEnded(item) ? waiting(item, true) : "Waits: γ is swept around the best learning rate, once that is known.") : null,
  ]);
  const found = part ? part.optima : swept.map(tried).filter(Boolean);
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

/** The best γ of what a sweep has tried so far. */
function tried({ role, width, learning_rate, runs }) {
  const best = bestTried(GAMMA, runs);
  return best && { role, width, learning_rate, gamma: best.gamma, loss: best.loss, interval: null };
}
