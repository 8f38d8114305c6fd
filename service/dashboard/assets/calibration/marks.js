// What the pictures of a calibration are made of: frames, colours by width, marks, and the key that says what they mean.

import { draw, make } from "/assets/shared/elements.js";

const SHADES = 16; // steps of the ramp in page.css

export const HEIGHT = 380; // of a large picture, in pixels
export const BOTTOM = 46; // below the frame: labels, and what the axis is

/** The class with the colour of one of several widths, which ascend. */
export const shade = (width, all) => `shade-${all.length > 1 ? Math.round((SHADES * Math.max(all.indexOf(width), 0)) / (all.length - 1)) : 0}`;

export const px = (value) => value.toFixed(1);

export const cross = (x, y, size = 3.5) => `M${px(x - size)} ${px(y - size)}l${2 * size} ${2 * size}m${-2 * size} 0l${2 * size} ${-2 * size}`;
export const bar = (x, y, size = 4) => `M${px(x)} ${px(y - size)}v${2 * size}`;
export const dot = (x, y) => `M${px(x)} ${px(y)}h0`; // with round caps
export const caret = (x, y) => `M${px(x - 3)} ${px(y + 5)}l3 -4l3 4`;
export const circle = (x, y, size = 4) => `M${px(x - size)} ${px(y)}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0`;
export const diamond = (x, y, size = 5.5) => `M${px(x)} ${px(y - size)}l${size} ${size}l${-size} ${size}l${-size} ${-size}z`;

/** An arrow that starts with a bar. dx, dy: its direction, of length 1. */
export function arrow(x, y, dx, dy, length = 20) {
  const [tx, ty] = [x + dx * length, y + dy * length];
  const head = `M${px(tx - 6 * dx - 4 * dy)} ${px(ty - 6 * dy - 4 * dx)}L${px(tx)} ${px(ty)}L${px(tx - 6 * dx + 4 * dy)} ${px(ty - 6 * dy + 4 * dx)}`;
  return [`M${px(x)} ${px(y)}L${px(tx)} ${px(ty)}`, `M${px(x - 5 * dy)} ${px(y - 5 * dx)}L${px(x + 5 * dy)} ${px(y + 5 * dx)}${head}`];
}

export function line(points) {
  return points.map(([x, y], index) => `${index ? "L" : "M"}${px(x)} ${px(y)}`).join("");
}

/** Grid, labels and titles around a frame. frame: left, right, top, bottom; x, y: axes; titles: of both. */
export function around(frame, x, xTicks, y, yTicks, titles) {
  const { left, right, top, bottom } = frame;
  return [
    ...yTicks.flatMap(({ at, label }) => [
      draw("line", { class: "grid", x1: left, x2: right, y1: px(y(at)), y2: px(y(at)) }),
      label && draw("text", { x: left - 6, y: px(y(at) + 4), "text-anchor": "end" }, label),
    ]).filter(Boolean),
    ...xTicks.flatMap(({ at, label }) => [
      draw("line", { class: "grid", x1: px(x(at)), x2: px(x(at)), y1: top, y2: bottom }),
      label && draw("text", { x: px(x(at)), y: bottom + 16, "text-anchor": "middle" }, label),
    ]).filter(Boolean),
    draw("text", { class: "axis", x: px((left + right) / 2), y: bottom + 36, "text-anchor": "middle" }, titles[0]),
    draw("text", { class: "axis", x: 2, y: 12 }, titles[1]),
  ];
}

/** What the marks mean. entries: [class, path data around (12, 6), words]. */
export function keyOf(entries) {
  return entries.map(([kind, path, words]) => make("li", { "data-key": words },
    draw("svg", { viewBox: "0 0 24 12", "aria-hidden": "true" }, ...[path].flat().map((each) => draw("path", { class: kind, d: each }))), words));
}
