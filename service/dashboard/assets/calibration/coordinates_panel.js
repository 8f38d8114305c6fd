// The coordinate check: the size of every layer's output over width, at init and as training moves it, with the verdict.

import { badge, byId, fill, make } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { hasEnded } from "/assets/shared/states.js";
import { geometricMean, grouped } from "/assets/calibration/gathered.js";
import { panelFigure } from "/assets/calibration/panel_picture.js";
import { remarks } from "/assets/calibration/results.js";
import { spaced } from "/assets/shared/words.js";
import { between, signed, waiting } from "/assets/calibration/words.js";

const FAINTEST = 0.3; // of the first step's line; the last is full

export function showCoordinates(item, measurements) {
  const part = item.result?.coordinates;
  const runs = measurements.filter(({ kind }) => kind === "coordinates");
  byId("coordinates").hidden = !item.spec.measure.includes("coordinates");
  if (byId("coordinates").hidden) return;
  remarks(byId("coordinates-told"), [
    part && make("p", { class: "verdict" }, badge(part.outcome), ` ${part.reasons.join("; ")}.`),
    ...(part?.notes ?? []),
    runs.length > 0 ? "RMS over a probe batch. Dashed: the output at init. Lines: how far training has moved it, stronger with the steps; level lines keep their size as the model grows." : null,
    part || runs.length > 0 ? null : waiting(item, hasEnded(item)),
    !part && runs.length > 0 ? "The verdict comes with the fit at the end." : null,
  ]);
  morph(byId("coordinates-pictures"), layers(runs).map(([layer, sizes]) => figure(layer, sizes, part)).filter(Boolean));
  byId("coordinates-table").hidden = !part;
  if (!part) return;
  fill(byId("coordinates-table"), [["Layer"], ["Role"], ["Size"], ["At step", true], ["Size ∝ width^", true], ["95 % interval", true], ["Theory", true], ["Outcome"]], part.judgements.map((found) => ({
    key: `${found.layer} ${found.size}`,
    cells: [make("code", {}, found.layer), found.role, spaced(found.size), found.step === null ? "all" : String(found.step), signed(found.slope.value), between(found.slope.interval), signed(found.expected), badge(found.outcome)],
  })));
}

/** Sizes by layer: { width, step, output, change }, one for each run and step. */
function layers(runs) {
  const sizes = runs.flatMap((run) => run.data.snapshots.flatMap(({ step, tensors }) => Object.entries(tensors).map(([layer, tensor]) => ({ layer, width: run.width, step, output: tensor.output, change: tensor.output_change }))));
  return [...grouped(sizes, ({ layer }) => layer)];
}

const overWidth = (sizes, name) => [...grouped(sizes, ({ width }) => width)].sort(([one], [other]) => one - other).map(([width, all]) => [width, geometricMean(all.map((each) => each[name]))]);

function figure(layer, sizes, part) {
  const steps = [...grouped(sizes, ({ step }) => step)].sort(([one], [other]) => one - other);
  const moved = steps.filter(([step]) => step > 0);
  const start = steps.find(([step]) => step === 0);
  const lines = [
    ...(start ? [{ look: "start", points: overWidth(start[1], "output") }] : []),
    ...moved.map(([, all], index) => ({ look: "plainly", opacity: (FAINTEST + ((1 - FAINTEST) * (index + 1)) / moved.length).toFixed(2), points: overWidth(all, "change") })),
  ];
  const judged = part?.judgements.filter((found) => found.layer === layer) ?? [];
  const told = judged.map((found) => `${spaced(found.size)} ∝ width^${signed(found.slope.value)}, ${found.outcome}`).join("; ");
  return panelFigure({
    key: layer, title: layer, lines, x: { log: true }, y: { log: true, least: 1 }, told: `Size of the output of ${layer} over width${told ? `: ${told}` : ""}`,
    legend: [
      ...(start ? [{ look: "start", name: "output at init" }] : []),
      ...(moved.length > 0 ? [{ look: "plainly", name: moved.length > 1 ? `change, steps ${moved[0][0]} to ${moved.at(-1)[0]}` : `change at step ${moved[0][0]}` }] : []),
    ],
  });
}
