// A small picture of a panel: lines with dots and intervals over widths, steps or horizons.

import { fewLogTicks, fewTicks } from "/assets/shared/axes.js";
import { draw, make } from "/assets/shared/elements.js";
import { number } from "/assets/shared/numbers.js";

const WIDTH = 270;
const HEIGHT = 175;
const LEFT = 46;
const RIGHT = 14;
const TOP = 10;
const BOTTOM = 26;
const Y_LABELS = 5; // at most (chosen): what fits without touching
const LETTER = 6.5; // width of a digit in the picture's units
const BEYOND = 3; // how many times the spread of the dots an interval may widen the axis (chosen)

const logarithmic = { to: Math.log10, back: (place) => 10 ** place, ticks: fewLogTicks };
const linear = { to: (value) => value, back: (place) => place, ticks: fewTicks };

/** Ends of an axis, in its own scale: the dots with some room, and as much of the intervals as leaves the dots legible. */
function ends(scale, values, bounds, least) {
  const places = values.map(scale.to);
  let [low, high] = [Math.min(...places), Math.max(...places)];
  const spread = Math.max(high - low, least);
  for (const place of bounds.map(scale.to)) {
    low = Math.min(low, Math.max(place, low - BEYOND * spread));
    high = Math.max(high, Math.min(place, high + BEYOND * spread));
  }
  const missing = Math.max(least - (high - low), 0) / 2;
  const room = 0.06 * Math.max(high - low, least);
  return [low - missing - room, high + missing + room];
}

/** Marks at the values themselves, where there is room for their names; the outermost come first. */
function namedTicks(values, x) {
  const all = [...new Set(values)].sort((one, other) => one - other);
  const kept = [];
  const half = (value) => (number(value).length * LETTER) / 2 + 3;
  for (const value of [all.at(-1), all[0], ...all.slice(1, -1)]) {
    if (kept.every((other) => Math.abs(x(value) - x(other)) > half(value) + half(other))) kept.push(value);
  }
  return kept;
}

/**
 * A picture. told: what it shows, in words. lines: { look: class of the colour, points: [[x, y], …], intervals: [[x, low, high], …],
 * hollow: x of dots that are bounds, dashed, opacity, dots: false for none }. x, y: { log, marks: values to draw a line at, and
 * for y least: the smallest range, in decades or in its own unit }.
 */
export function panelPicture({ told, lines, x: across, y: up }) {
  const [xScale, yScale] = [across, up].map((axis) => (axis.log ? logarithmic : linear));
  const shown = (value, axis) => Number.isFinite(value) && (!axis.log || value > 0);
  const kept = lines.map((line) => ({ ...line, points: line.points.filter(([x, y]) => shown(x, across) && shown(y, up)) })).filter((line) => line.points.length > 0);
  if (kept.length === 0) return null;
  const xs = kept.flatMap((line) => line.points.map(([x]) => x));
  const bounds = kept.flatMap((line) => (line.intervals ?? []).flatMap(([, low, high]) => [low, high])).filter((value) => shown(value, up));
  const [left, right] = ends(xScale, xs, [], across.log ? 0.3 : 1);
  const [bottom, top] = ends(yScale, [...kept.flatMap((line) => line.points.map(([, y]) => y)), ...(up.marks ?? [])], bounds, up.least);
  const x = (value) => LEFT + ((WIDTH - LEFT - RIGHT) * (xScale.to(value) - left)) / (right - left);
  const y = (value) => {
    const place = shown(value, up) ? Math.min(Math.max(yScale.to(value), bottom), top) : bottom; // an interval may go beyond the picture
    return HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (place - bottom)) / (top - bottom);
  };
  const fixed = (value) => value.toFixed(1);
  const xTicks = across.ticks ? namedTicks(fewTicks(xScale.back(left), xScale.back(right), 5).filter((tick) => tick >= 0), x) : namedTicks(xs, x);
  return draw(
    "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": told },
    ...yScale.ticks(yScale.back(bottom), yScale.back(top), Y_LABELS).flatMap((tick) => [
      draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: fixed(y(tick)), y2: fixed(y(tick)) }),
      draw("text", { x: LEFT - 6, y: fixed(y(tick) + 4), "text-anchor": "end" }, number(tick)),
    ]),
    ...xTicks.map((tick) => draw("text", { x: fixed(x(tick)), y: HEIGHT - 8, "text-anchor": "middle" }, number(tick, 6))),
    ...(up.marks ?? []).map((mark) => draw("line", { class: "upright", x1: LEFT, x2: WIDTH - RIGHT, y1: fixed(y(mark)), y2: fixed(y(mark)) })),
    ...kept.flatMap((line) => lineNodes(line, x, y, fixed)),
  );
}

function lineNodes({ look, points, intervals = [], hollow = [], dashed = false, opacity = null, dots = true }, x, y, fixed) {
  const nodes = intervals.filter(([, low, high]) => Number.isFinite(low) && Number.isFinite(high)).map(([at, low, high]) => draw("line", { class: `bar-of ${look}`, x1: fixed(x(at)), x2: fixed(x(at)), y1: fixed(y(low)), y2: fixed(y(high)), "stroke-opacity": 0.55 }));
  if (points.length > 1) nodes.push(draw("polyline", { class: `curve ${look}${dashed ? " second" : ""}`, "stroke-opacity": opacity, points: points.map(([at, level]) => `${fixed(x(at))},${fixed(y(level))}`).join(" ") }));
  if (dots) nodes.push(...points.map(([at, level]) => draw("circle", { class: `dot ${look}${hollow.includes(at) ? " hollow" : ""}`, "fill-opacity": opacity, "stroke-opacity": opacity, cx: fixed(x(at)), cy: fixed(y(level)), r: dashed ? 2 : 3 })));
  return nodes;
}

/** A picture with its heading, and a legend of its lines: { look, dashed, opacity, name, more }. Null if there is nothing to draw. */
export function panelFigure({ key, title, legend = [], ...what }) {
  const picture = panelPicture(what);
  if (picture === null) return null;
  return make("figure", { "data-key": key }, make("figcaption", {}, title), picture, make("ul", { class: "legend" }, ...legend.map((line) => make("li", {},
    draw("svg", { viewBox: "0 0 24 8", class: "swatch", "aria-hidden": "true" }, draw("line", { class: `curve ${line.look}${line.dashed ? " second" : ""}`, "stroke-opacity": line.opacity, x1: 0, x2: 24, y1: 4, y2: 4 })),
    make("span", {}, line.name), make("small", {}, line.more ?? "")))));
}
