// Horizons: every run of a length of training, and the best learning rate over that length.

import { byId, fill } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { interval, number } from "/assets/shared/numbers.js";
import { hasEnded } from "/assets/shared/states.js";
import { grouped } from "/assets/calibration/gathered.js";
import { LEARNING_RATE } from "/assets/calibration/losses.js";
import { shade } from "/assets/calibration/marks.js";
import { multiplesIn } from "/assets/calibration/multiples.js";
import { panelFigure } from "/assets/calibration/panel_picture.js";
import { remarks } from "/assets/calibration/results.js";
import { bestTried, knownOf } from "/assets/calibration/swept.js";
import { between, bounded, signed, waiting } from "/assets/calibration/words.js";

const drawn = multiplesIn(byId("horizon-runs"), { over: LEARNING_RATE, titled: (steps) => `${steps} steps`, of: (steps) => ` of ${steps} steps`, order: (one, other) => one - other });
const branched = new Map(); // by horizon and width: { steps, width, runs by their keys }

/** Draw runs that are new or have another outcome, of which those of a horizon are its own. */
export function showHorizonRuns(runs) {
  for (const [steps, all] of grouped(runs.filter((run) => run.horizon !== null), (run) => run.horizon)) {
    for (const run of all) {
      const key = `${steps} ${run.width}`;
      if (!branched.has(key)) branched.set(key, { steps, width: run.width, runs: new Map() });
      branched.get(key).runs.set(run.key, run);
    }
    drawn.add(steps, all);
  }
}

/** The sweep of each horizon and width. */
function sweeps(part) {
  return [...branched.values()].map(({ steps, width, runs }) => ({
    steps, width, runs: [...runs.values()], optimum: part && (part.optima.find((each) => each.steps === steps && each.width === width) ?? null),
  })).sort((one, other) => one.width - other.width || one.steps - other.steps);
}

export function showHorizon(item) {
  const part = item.result?.horizon;
  byId("horizon").hidden = !item.spec.measure.includes("horizon");
  if (byId("horizon").hidden) return;
  const swept = sweeps(part);
  drawn.plan(item.spec.widths);
  for (const [steps, all] of grouped(swept, (each) => each.steps)) drawn.fitted(steps, all.map(({ width, runs, optimum }) => knownOf(LEARNING_RATE, width, runs, optimum)));
  const law = part?.exponent;
  remarks(byId("horizon-told"), [
    law ? `The best learning rate goes as tokens^(−h) with h = ${signed(law.value)}, 95 % interval ${between(law.interval)}.` : null,
    law && part.published?.length > 0 ? `Published: ${part.published.map(({ source, low, high }) => `${low === high ? number(low) : `${number(low)} to ${number(high)}`} (${source})`).join("; ")}.` : null,
    part && !law ? "No exponent: that needs an optimum inside the learning rates at two horizons of a width." : null,
    !part && swept.length > 0 ? "The best tried so far; intervals and the exponent come with the fit at the end." : null,
    swept.length > 0 ? "Each picture has every run of one length of training." : null,
    !part && swept.length === 0 ? waiting(item, hasEnded(item)) : null,
  ]);
  const found = part ? part.optima : swept.map(tried).filter(Boolean);
  const lines = [...grouped(found, ({ width }) => width)].map(([width, all]) => ({
    width, look: shade(width, item.spec.widths), points: all.map((each) => [each.steps, each.learning_rate]),
    intervals: all.filter((each) => each.interval).map((each) => [each.steps, ...each.interval]), hollow: all.filter((each) => each.bound).map((each) => each.steps),
  }));
  morph(byId("horizon-pictures"), [panelFigure({
    key: "horizon", title: `Best learning rate over steps${lines.some((line) => line.hollow.length > 0) ? "; hollow: a bound" : ""}`, lines, x: { log: true }, y: { log: true, least: 1 },
    told: `Best learning rate over steps: ${found.map((each) => `${bounded(each)} at ${each.steps}, width ${each.width}`).join("; ")}`,
    legend: lines.map(({ look, width }) => ({ look, name: `width ${width}` })),
  })].filter(Boolean));
  byId("horizon-table").hidden = found.length === 0;
  const columns = [["Steps", true], ...(part ? [["Tokens", true]] : []), ["Width", true], [part ? "Learning rate" : "Best tried", true], ["95 % interval", true], ["Loss", true]];
  fill(byId("horizon-table"), columns, found.map((each) => ({
    key: `${each.width} ${each.steps}`,
    cells: [String(each.steps), ...(part ? [String(each.tokens)] : []), String(each.width), bounded(each), interval(each.interval), number(each.loss)],
  })));
}

/** The best of what a sweep has tried so far. */
function tried({ steps, width, runs }) {
  const best = bestTried(LEARNING_RATE, runs);
  return best && { width, steps, learning_rate: best.learning_rate, loss: best.loss, interval: null };
}
