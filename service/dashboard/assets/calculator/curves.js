// Pictures of each quantity over width: a line for the roles that share it, the base hollow and the target full.

import { fewLogTicks } from "/assets/shared/axes.js";
import { byId, draw, make } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { number, power } from "/assets/shared/numbers.js";
import { NAMES, QUANTITIES, baseOf } from "/assets/calculator/plan.js";

const WIDTH = 270;
const HEIGHT = 175;
const LEFT = 46;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 26;
const X_LABELS = 5; // at most (chosen): what fits without touching
const Y_LABELS = 5;

/** The lines of a quantity: roles with the same values and exponent share one. */
function linesOf(plans, name) {
  const lines = new Map();
  for (const { side, title, plan } of plans) {
    for (const layer of plan.layers) {
      const quantity = layer[name];
      if (!quantity) continue;
      const level = quantity.value ?? quantity.multiplier;
      const key = `${side} ${quantity.exponent} ${level}`;
      const line = lines.get(key) ?? { key, side, title, quantity, level, base: baseOf(quantity) ?? 1, roles: [], scaled: quantity.value === null };
      line.roles.push(layer.role);
      lines.set(key, line);
    }
  }
  const all = [...lines.values()].filter((line) => line.level > 0);
  return all.some((line) => line.scaled) ? all.map((line) => ({ ...line, level: line.quantity.multiplier, base: 1, scaled: true })) : all;
}

const at = (line, width, target) => line.level * (width / target) ** -line.quantity.exponent;

/** Marks of a logarithmic axis: powers of two, four, … until few enough. */
function widthTicks(low, high) {
  for (let step = 1; ; step++) {
    const ticks = [];
    for (let power = Math.ceil(Math.log2(low) / step) * step; 2 ** power <= high * 1.0001; power += step) ticks.push(2 ** power);
    if (ticks.length <= X_LABELS) return ticks;
  }
}

function picture(lines, base, target, title) {
  const [low, high] = [Math.min(base, target) / 1.5, Math.max(base, target) * 1.5];
  const levels = lines.flatMap((line) => [at(line, low, target), at(line, high, target), line.base]);
  let [bottom, top] = [Math.min(...levels), Math.max(...levels)];
  const room = Math.max(1.3, (top / bottom) ** 0.08);
  [bottom, top] = top / bottom < 1.5 ? [bottom / 2.5, top * 2.5] : [bottom / room, top * room];
  const x = (width) => LEFT + ((WIDTH - LEFT - RIGHT) * Math.log(width / low)) / Math.log(high / low);
  const y = (level) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * Math.log(level / bottom)) / Math.log(top / bottom);
  const fixed = (value) => value.toFixed(1);
  const told = lines.map((line) => `${[line.title, line.roles.join(", ")].filter(Boolean).join(" ")} ${power(line.quantity.exponent)}`).join("; ");
  return draw(
    "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title} over width: ${told}` },
    ...fewLogTicks(bottom, top, Y_LABELS).flatMap((level) => [
      draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: fixed(y(level)), y2: fixed(y(level)) }),
      draw("text", { x: LEFT - 6, y: fixed(y(level) + 4), "text-anchor": "end" }, number(level)),
    ]),
    ...widthTicks(low, high).map((width) => draw("text", { x: fixed(x(width)), y: HEIGHT - 8, "text-anchor": "middle" }, String(width))),
    ...[base, target].map((width) => draw("line", { class: "upright", x1: fixed(x(width)), x2: fixed(x(width)), y1: TOP, y2: HEIGHT - BOTTOM })),
    ...lines.flatMap((line) => [
      draw("line", { class: `curve ${line.side} ${line.roles[0]}`, x1: fixed(x(low)), y1: fixed(y(at(line, low, target))), x2: fixed(x(high)), y2: fixed(y(at(line, high, target))) }),
      draw("circle", { class: `dot hollow ${line.roles[0]}`, cx: fixed(x(base)), cy: fixed(y(line.base)), r: 4 }),
      draw("circle", { class: `dot ${line.roles[0]}`, cx: fixed(x(target)), cy: fixed(y(line.level)), r: 4.5 }),
    ]),
  );
}

function legend(lines) {
  return make("ul", { class: "legend" }, ...lines.map((line) => make("li", {},
    draw("svg", { viewBox: "0 0 24 8", class: "swatch", "aria-hidden": "true" }, draw("line", { class: `curve ${line.side} ${line.roles[0]}`, x1: 0, x2: 24, y1: 4, y2: 4 })),
    make("span", {}, [line.title, line.roles.join(", ")].filter(Boolean).join(": ")), make("small", {}, power(line.quantity.exponent)))));
}

/** Draw every quantity over width. plans: { side, title, plan }; without both widths there is nothing to draw. */
export function showCurves(plans, base, target) {
  for (const id of ["curves-heading", "curves-hint", "curves"]) byId(id).hidden = !(base > 0 && target > 0);
  if (byId("curves").hidden) return;
  morph(byId("curves"), NAMES.map((name) => [name, linesOf(plans, name)]).filter(([, lines]) => lines.length > 0).map(([name, lines]) => {
    const title = `${QUANTITIES[name]}${lines[0].scaled ? ", × its base" : ""}`;
    return make("figure", { "data-key": name }, make("figcaption", {}, title), picture(lines, base, target, title), legend(lines));
  }));
}
