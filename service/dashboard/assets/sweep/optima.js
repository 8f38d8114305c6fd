// The optima of all cells as a table that is sorted by any of its columns.

import { byId, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { interval, number } from "/assets/shared/numbers.js";
import { spaced } from "/assets/shared/words.js";
import { amount } from "/assets/sweep/words.js";

const BOUND = { low: "≤ ", high: "≥ ", both: "≈ " };
const SAID = { low: "at the lowest rate tried: a bound", high: "at the highest rate tried: a bound", both: "one rate" };

let optima = [];
let sorted = null; // { name, down }; null: as the service has them

/** Show the optima of a fit. */
export function showOptima(fit) {
  optima = fit.optima;
  const edges = optima.filter(({ edge }) => edge).length;
  tell("optima-told", `${optima.length - edges} of ${optima.length} ${optima.length === 1 ? "cell brackets its" : "cells bracket their"} optimum${edges ? `; in ${edges} the lowest loss is at the edge of the rates tried, and the optimum may lie beyond` : ""}.`);
  draw();
}

function columns() {
  const axes = Object.keys(optima[0].axes).map((name) => ({ name: `axis ${name}`, label: spaced(name), isNumber: typeof optima[0].axes[name] !== "string", of: (one) => one.axes[name], shown: (one) => amount(one.axes[name]) }));
  return [
    ...axes,
    { name: "rate", label: "Best rate", isNumber: true, of: (one) => one.learning_rate, shown: (one) => `${BOUND[one.edge] || ""}${number(one.learning_rate, 3)}` },
    { name: "interval", label: "95 % interval", isNumber: true, of: (one) => one.interval[1] / one.interval[0], shown: (one) => interval(one.interval) },
    { name: "curvature", label: "Nats per octave²", isNumber: true, of: (one) => one.curvature ?? -1, shown: (one) => number(one.curvature, 2) },
    { name: "edge", label: "Remarks", isNumber: false, of: (one) => one.edge || "", shown: remarks },
  ];
}

function remarks({ edge, read_as_diverged: read }) {
  return [SAID[edge], read.length > 0 ? `read as diverged: ${read.map((rate) => number(rate, 3)).join(", ")}` : ""].filter(Boolean).join("; ");
}

function draw() {
  const all = columns();
  const by = all.find(({ name }) => name === sorted?.name);
  const lines = optima.map((one, index) => ({ one, index }));
  if (by) lines.sort((a, b) => (by.of(a.one) < by.of(b.one) ? -1 : by.of(a.one) > by.of(b.one) ? 1 : a.index - b.index) * (sorted.down ? -1 : 1));
  const head = make("tr", { role: "row" }, ...all.map(({ name, label, isNumber }) => {
    const direction = sorted?.name === name ? (sorted.down ? "descending" : "ascending") : null;
    return make("th", { scope: "col", role: "columnheader", class: isNumber ? "number" : null, "aria-sort": direction }, make("button", { type: "button", class: "sort", "data-sort": name }, label, make("span", { "aria-hidden": "true" }, direction ? (sorted.down ? " ↓" : " ↑") : "")));
  }));
  const rows = lines.map(({ one, index }) => make("tr", { role: "row", "data-key": `cell ${index}` }, ...all.map(({ label, isNumber, shown }, column) => make(
    column === 0 ? "th" : "td",
    { role: column === 0 ? "rowheader" : "cell", scope: column === 0 ? "row" : null, class: isNumber ? "number" : null, "data-label": label },
    shown(one),
  ))));
  byId("optima").setAttribute("role", "table");
  morph(byId("optima"), [make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" }, ...rows)]);
}

byId("optima").addEventListener("click", (event) => {
  const name = event.target.closest("[data-sort]")?.dataset.sort;
  if (!name) return;
  sorted = { name, down: sorted?.name === name && !sorted.down };
  draw();
});
