// A picture of each quantity: the intervals of the rows on one axis, beside theory.

import { byId, draw, make } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { placeOf } from "/assets/exponents/filters.js";
import { distance, rounded, titleOf, withError, words } from "/assets/exponents/measured.js";

const ROWS = 20; // of a picture (chosen): the table is not far below
const NARROWEST = 420; // pixels of a picture beside another (chosen): a label and an axis that can be read
const GAP = 24;
const ROW = 18;
const BOTTOM = 24;
const LETTER = 6.5; // pixels (measured): a wide average letter of 11 px
const TICKS = 6; // at most (chosen)
const WIDEST = 720; // pixels (chosen): a wider one says no more
const BEYOND = 1.5; // spans of the dots (chosen): an interval that is longer ends in an arrow, or the dots would all be one

/** Marks at multiples of 1, 2 or 5 times a power of ten. */
function ticks(low, high) {
  for (let decade = 10 ** Math.floor(Math.log10((high - low) / 100)); ; decade *= 10) {
    for (const digit of [1, 2, 5]) {
      const step = decade * digit;
      const first = Math.ceil(low / step - 1e-9);
      const count = Math.floor(high / step + 1e-9) - first + 1;
      if (count <= TICKS) return Array.from({ length: count }, (_, index) => Number(((first + index) * step).toPrecision(6)));
    }
  }
}

/** The ends of the axis: all dots, theory, and of the intervals what does not press these together. */
function domain(rows) {
  const dots = rows.flatMap(({ value, theory }) => (theory === null ? [value] : [value, theory]));
  const [low, high] = [Math.min(...dots), Math.max(...dots)];
  const room = BEYOND * Math.max(high - low, 0.2);
  const ends = rows.flatMap(({ interval }) => interval ?? []);
  const from = Math.max(Math.min(low, ...ends), low - room);
  const to = Math.min(Math.max(high, ...ends), high + room);
  const margin = 0.04 * (to - from) || 0.1;
  return [from - margin, to + margin];
}

const cut = (text, letters) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);

function lineOf(row, middle, x, low, high, { left, width }) {
  const { value, interval, theory, role } = row;
  const shape = [];
  if (interval) {
    const [from, to] = [Math.max(interval[0], low), Math.min(interval[1], high)];
    shape.push(draw("path", { class: `whisker ${role}`, d: `M${x(from)} ${middle}H${x(to)}` }));
    if (interval[0] < low) shape.push(draw("path", { class: `whisker ${role}`, d: `M${left + 5} ${middle - 4}L${left} ${middle}L${left + 5} ${middle + 4}` }));
    if (interval[1] > high) shape.push(draw("path", { class: `whisker ${role}`, d: `M${width - 5} ${middle - 4}L${width} ${middle}L${width - 5} ${middle + 4}` }));
  }
  if (theory !== null) shape.push(draw("path", { class: "theory", d: `M${x(theory)} ${middle - 6}l6 6l-6 6l-6 -6z` }));
  shape.push(draw("circle", { class: `dot ${role}${interval ? "" : " hollow"}`, cx: x(value), cy: middle, r: 3.5 }));
  const told = `${row.role}, ${titleOf(row)}: ${withError(value, row.standard_error)}${theory === null ? "" : `; theory ${rounded(theory, 0.1)}`}`;
  const label = cut(`${row.role} · ${titleOf(row)}`, Math.floor((left - 12) / LETTER));
  return draw("g", { "data-key": row.id }, draw("title", {}, told), draw("text", { x: left - 10, y: middle + 4, "text-anchor": "end" }, label), ...shape);
}

function summary(quantity, rows) {
  const known = rows.map(distance).filter((far) => far !== null);
  const outside = rows.filter(({ interval, theory }) => interval && theory !== null && (theory < interval[0] || theory > interval[1])).length;
  const values = rows.map(({ value }) => value);
  const range = `${rows.length} ${rows.length === 1 ? "exponent" : "exponents"}, ${rounded(Math.min(...values), 0.1)} to ${rounded(Math.max(...values), 0.1)}`;
  return `${words(quantity)}: ${range}${known.length > 0 ? `; theory is outside the interval of ${outside}` : ""}`;
}

function picture(quantity, all, width) {
  const rows = all.slice(0, ROWS);
  const left = Math.round(Math.min(0.42 * width, 12 + LETTER * Math.max(...rows.map((row) => `${row.role} · ${titleOf(row)}`.length))));
  const height = rows.length * ROW + BOTTOM;
  const [low, high] = domain(rows);
  const x = (value) => Number((left + ((value - low) / (high - low)) * (width - left)).toFixed(1));
  const bottom = rows.length * ROW;
  const axis = ticks(low, high).flatMap((value) => [
    draw("path", { class: value === 0 ? "upright" : "grid", d: `M${x(value)} 0V${bottom + 3}` }),
    draw("text", { x: Math.min(x(value), width - 1), y: bottom + 17, "text-anchor": x(value) > width - 16 ? "end" : "middle" }, String(value).replace("-", "−")),
  ]);
  const lines = rows.map((row, index) => lineOf(row, index * ROW + ROW / 2, x, low, high, { left, width }));
  const svg = draw("svg", { role: "img", "aria-label": summary(quantity, all), viewBox: `0 0 ${width} ${height}`, width, height }, ...axis, ...lines);
  const more = all.length > ROWS ? make("small", {}, ` the first ${ROWS} of ${all.length} in the table's order`) : null;
  return make("figure", { "data-key": quantity }, make("figcaption", {}, words(quantity), more), svg);
}

/** Draw a picture for each quantity of the rows, in their order. */
export function showForests(rows) {
  const place = byId("forests");
  const room = place.clientWidth;
  if (room === 0) return; // it is folded away
  const byQuantity = new Map();
  for (const row of rows) byQuantity.set(row.quantity, [...(byQuantity.get(row.quantity) ?? []), row]);
  const beside = Math.max(1, Math.min(Math.floor((room + GAP) / (NARROWEST + GAP)), byQuantity.size));
  const width = Math.floor((room - GAP * (beside - 1)) / beside);
  const quantities = [...byQuantity.keys()].sort((one, other) => placeOf(one) - placeOf(other));
  morph(place, quantities.map((quantity) => picture(quantity, byQuantity.get(quantity), Math.min(width, WIDEST))));
}
