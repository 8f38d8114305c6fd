// The table of a plan: each number is a button that opens to where it comes from; two plans stand line by line.

import { breakable, byId, fill, make } from "/assets/shared/elements.js";
import { number } from "/assets/shared/numbers.js";
import { NAMES, QUANTITIES, TERMS, differs, rowsOf } from "/assets/calculator/plan.js";
import { termLink } from "/assets/shared/terms.js";

const ROWS = 150; // chosen: more are a file to download rather than a table to read

const headings = (ofTensors) => [
  ofTensors ? ["Tensor"] : ["Role", false, termLink("role", "Role")],
  ...NAMES.map((name) => [QUANTITIES[name], true, termLink(TERMS[name], QUANTITIES[name])]),
];

function valueButton(row, name, side, other, opened) {
  const quantity = row.quantities[name];
  if (!quantity) return "none";
  const id = `${row.key}|${name}|${side}`;
  const unlike = other && differs(quantity, other.quantities[name]);
  return make(
    "button", { type: "button", class: unlike ? "value differs" : "value", "data-open": id, "aria-expanded": String(opened === id), "aria-controls": "explanation" },
    unlike ? make("span", { class: "mark", role: "img", "aria-label": "differs" }) : null,
    quantity.value === null ? null : make("span", { class: "amount" }, number(quantity.value)),
    make("small", {}, `×${number(quantity.multiplier, 3)}`),
  );
}

function line(row, side, title, other, opened) {
  const label = make("span", { class: "who" },
    title ? make("small", { class: `side ${side}` }, title) : null,
    make("span", { class: "name" }, ...(row.names.length > 0 ? breakable(row.label) : [termLink(row.role, row.role)]),
      row.names.length > 0 && (side === "first" || !other) ? make("small", { class: "role" }, row.names.length > 1 ? `×${row.names.length} ` : "", termLink(row.role, row.role)) : null));
  return { key: `${row.key}|${side}`, class: `${side} ${row.role}`, cells: [label, ...NAMES.map((name) => valueButton(row, name, side, other, opened))] };
}

let current = null; // the number that Tab reaches; the arrow keys lead to the others, and to the terms around them

const buttons = () => [...byId("layers").querySelectorAll("[data-open]")];

function reach(button) {
  current = button?.dataset.open ?? null;
  for (const each of buttons()) each.tabIndex = each === button ? 0 : -1;
  for (const each of byId("layers").querySelectorAll("a")) each.tabIndex = -1;
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** The number or term that an arrow key leads to from another; null at the edge. A place without either is passed over. */
function beside(from, key) {
  const [down, right] = STEPS[key];
  const { rows } = byId("layers");
  const cell = from.closest("td, th");
  for (let row = cell.parentNode.rowIndex + down, column = cell.cellIndex + right; ; row += down, column += right) {
    const next = rows[row]?.cells[column];
    if (!next) return null;
    const found = next.querySelector("[data-open], a");
    if (found) return found;
  }
}

byId("layers").addEventListener("focusin", ({ target }) => { if (target.closest("[data-open]")) reach(target.closest("[data-open]")); });
byId("layers").addEventListener("keydown", (event) => {
  if (!(event.key in STEPS) || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault(); // the page would scroll
  beside(event.target, event.key)?.focus();
});

/** Show one plan, or two line by line. plans: { side, title, plan }; opened: the number that is open. */
export function showLayers(plans, opened) {
  const [first, second] = plans.map(({ plan }) => rowsOf(plan));
  const others = new Map((second ?? []).map((row) => [row.key, row]));
  const title = (index) => (plans.length > 1 ? plans[index].title : "");
  const lines = first.slice(0, ROWS).flatMap((row) => {
    const other = others.get(row.key);
    others.delete(row.key);
    const own = line(row, plans[0].side, title(0), other, opened);
    return other ? [own, line(other, plans[1].side, title(1), row, opened)] : [own];
  });
  if (plans.length > 1) for (const row of [...others.values()].slice(0, ROWS)) lines.push(line(row, plans[1].side, title(1), undefined, opened));
  const table = byId("layers");
  table.classList.toggle("compared", plans.length > 1);
  const ofTensors = first.some((row) => row.names.length > 0);
  table.classList.toggle("tensors", ofTensors);
  fill(table, headings(ofTensors), lines);
  const all = buttons();
  reach(all.find((button) => button.dataset.open === current) ?? all[0]);
  return first.length > ROWS ? `${first.length - ROWS} more rows are in the file below.` : "";
}

/** The row and quantity that an opened number stands for; null if the plans no longer have it. */
export function find(plans, opened) {
  const [key, name, side] = (opened || "").split("|");
  const found = plans.find((each) => each.side === side);
  const row = found && rowsOf(found.plan).find((each) => each.key === key);
  return row?.quantities[name] ? { ...found, row, name, quantity: row.quantities[name] } : null;
}
