// Gradients by role over width, and the epsilon that they allow.

import { byId, fill } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { number } from "/assets/shared/numbers.js";
import { hasEnded } from "/assets/shared/states.js";
import { geometricMean, grouped } from "/assets/calibration/gathered.js";
import { panelFigure } from "/assets/calibration/panel_picture.js";
import { remarks } from "/assets/calibration/results.js";
import { between, signed, waiting } from "/assets/calibration/words.js";

const DECADE = 1; // of the smallest range of an axis

export function showEpsilon(item, measurements) {
  const part = item.result?.epsilon;
  const runs = measurements.filter(({ kind }) => kind === "epsilon");
  byId("epsilon").hidden = !item.spec.measure.includes("epsilon");
  if (byId("epsilon").hidden) return;
  remarks(byId("epsilon-told"), [part ? verdict(part.needs) : runs.length === 0 ? waiting(item, hasEnded(item)) : "Exponents and the allowed epsilon come with the fit at the end."]);
  morph(byId("epsilon-pictures"), [gradients(runs, part), part && allowed(part.needs)].filter(Boolean));
  for (const id of ["epsilon-slopes", "epsilon-table"]) byId(id).hidden = !part;
  if (!part) return;
  fill(byId("epsilon-slopes"), [["Role"], ["Gradients ∝ width^(−g), g", true], ["95 % interval", true], ["Theory", true], ["At step", true], ["g at the last step", true]], part.roles.map((found) => ({
    key: found.role, cells: [found.role, signed(found.g.value), between(found.g.interval), signed(found.theory), String(found.step), signed(found.steps.at(-1).g.value)],
  })));
  fill(byId("epsilon-table"), [["Role"], ["Width", true], ["Smallest gradient RMS", true], ["Epsilon at most", true], ["In force", true], ["Underflow", true]], part.needs.map((need) => ({
    key: `${need.role} ${need.width}`,
    cells: [need.role, String(need.width), number(need.gradient_rms, 3), number(need.largest_epsilon, 3), need.epsilon === null ? "–" : number(need.epsilon, 3), `${number(100 * need.underflow_share, 2)} %`],
  })));
}

function verdict(needs) {
  const inForce = needs.filter((need) => need.epsilon !== null);
  if (inForce.length === 0) return "This optimizer has no epsilon.";
  const worst = inForce.reduce((one, other) => (one.epsilon / one.largest_epsilon >= other.epsilon / other.largest_epsilon ? one : other));
  const share = worst.epsilon / worst.largest_epsilon;
  const where = `that of the ${worst.role} tensors at width ${worst.width}`;
  return share > 1 ? `Epsilon is too large: ${where} is ${number(share, 2)} times what is harmless.` : `Every epsilon in force is harmless: the closest to its limit, ${where}, is ${number(share, 2)} of it.`;
}

/** Gradients at the first step that has any, as measured: each dot is the mean over tensors and seeds. */
function gradients(runs, part) {
  const sizes = runs.flatMap((run) => (run.data.snapshots ?? []).slice(0, 1).flatMap(({ tensors }) => Object.values(tensors).map((tensor) => ({ role: tensor.role, width: run.width, size: tensor.gradient_rms }))));
  const lines = [...grouped(sizes, ({ role }) => role)].map(([role, all]) => ({
    look: role,
    points: [...grouped(all, ({ width }) => width)].sort(([one], [other]) => one - other).map(([width, each]) => [width, geometricMean(each.map(({ size }) => size))]),
  }));
  const slope = (role) => part?.roles.find((found) => found.role === role);
  return panelFigure({
    key: "gradients", title: "Gradient RMS at init, over width", lines, x: { log: true }, y: { log: true, least: DECADE },
    told: `Gradient RMS at init over width: ${lines.map(({ look }) => `${look}${slope(look) ? ` ∝ width^${signed(-slope(look).g.value)}` : ""}`).join("; ")}`,
    legend: lines.map(({ look }) => ({ look, name: look, more: slope(look) ? `∝ width^${signed(-slope(look).steps[0].g.value)}` : "" })),
  });
}

function allowed(needs) {
  const roles = [...grouped(needs, (need) => need.role)];
  const lines = roles.flatMap(([role, all]) => [
    { look: role, points: all.map((need) => [need.width, need.largest_epsilon]) },
    { look: role, dashed: true, points: all.filter((need) => need.epsilon !== null).map((need) => [need.width, need.epsilon]) },
  ]);
  return panelFigure({
    key: "allowed", title: "Largest harmless epsilon; dashed: in force", lines, x: { log: true }, y: { log: true, least: DECADE },
    told: `Epsilon over width: ${needs.map((need) => `${need.role} at ${need.width} at most ${number(need.largest_epsilon, 2)}${need.epsilon === null ? "" : `, in force ${number(need.epsilon, 2)}`}`).join("; ")}`,
    legend: roles.map(([role]) => ({ look: role, name: role })),
  });
}
