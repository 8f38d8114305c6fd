// Horizons: the best learning rate over the length of training.

import { byId, fill } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { interval, number } from "/assets/shared/numbers.js";
import { hasEnded } from "/assets/shared/states.js";
import { grouped, mean } from "/assets/calibration/gathered.js";
import { panelFigure } from "/assets/calibration/panel_picture.js";
import { remarks } from "/assets/calibration/results.js";
import { between, bounded, signed, waiting } from "/assets/calibration/words.js";

const LOOKS = ["plainly", "hidden", "readout", "vector"]; // colours of widths, of which there is mostly one

export function showHorizon(item, trials) {
  const part = item.result?.horizon;
  const branched = trials.filter((trial) => trial.horizon !== null && trial.loss !== null);
  byId("horizon").hidden = !item.spec.measure.includes("horizon");
  if (byId("horizon").hidden) return;
  const law = part?.exponent;
  remarks(byId("horizon-told"), [
    law ? `The best learning rate goes as tokens^(−h) with h = ${signed(law.value)}, 95 % interval ${between(law.interval)}.` : null,
    law && part.published?.length > 0 ? `Published: ${part.published.map(({ source, low, high }) => `${low === high ? number(low) : `${number(low)} to ${number(high)}`} (${source})`).join("; ")}.` : null,
    part && !law ? "No exponent: that needs an optimum inside the learning rates at two horizons of a width." : null,
    !part && branched.length > 0 ? "The best tried so far; intervals and the exponent come with the fit at the end." : null,
    !part && branched.length === 0 ? waiting(item, hasEnded(item)) : null,
  ]);
  const found = part ? part.optima : tried(branched);
  const lines = [...grouped(found, ({ width }) => width)].map(([width, all], index) => ({
    width, look: LOOKS[index % LOOKS.length], points: all.map((each) => [each.steps, each.learning_rate]),
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

/** The best of the trials themselves, by width and horizon. */
function tried(branched) {
  return [...grouped(branched, ({ width, horizon }) => `${width} ${horizon}`).values()].map((all) => {
    const cells = [...grouped(all, (trial) => trial.learning_rate).values()].map((runs) => ({ ...runs[0], loss: mean(runs.map((run) => run.loss)) }));
    const best = cells.reduce((one, other) => (one.loss <= other.loss ? one : other));
    return { width: best.width, steps: best.horizon, learning_rate: best.learning_rate, loss: best.loss, interval: null };
  }).sort((one, other) => one.width - other.width || one.steps - other.steps);
}
