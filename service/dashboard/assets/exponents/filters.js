// What the reader wants to see: the fields, the address that holds them, and the query that they ask.

import { fromAddress, intoAddress } from "/assets/shared/address.js";
import { byId, make } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";

/** By field: its name in the address and, but for the order, in the API's query. */
const NAMES = {
  quantity: "quantity", exponent_role: "role", parameterization: "parameterization", optimizer: "optimizer",
  alignment_kind: "alignment", proxy_architecture: "architecture", dataset: "dataset", sort: "sort",
};

const form = byId("filters");
const seen = new Set(); // names of data sets

// a label around a list has the words of the list in its text; the field is called by its own alone
for (const control of form.elements) control.setAttribute("aria-label", control.closest("label")?.firstChild.textContent ?? control.textContent);

/** Put what the address holds into the fields; a word that no list has means any. */
export function readFilters() {
  for (const [field, name] of Object.entries(NAMES)) {
    const control = form.elements[field];
    const value = fromAddress(name) ?? "";
    control.value = control.nodeName === "SELECT" && ![...control.options].some((option) => option.value === value) ? "" : value;
  }
}

export function writeFilters() {
  intoAddress(Object.fromEntries(Object.entries(NAMES).map(([field, name]) => [name, form.elements[field].value.trim() || null])));
}

/** The query of the API, without the order, which is the page's. */
export function query() {
  const chosen = Object.entries(NAMES).filter(([field]) => field !== "sort").map(([field, name]) => [name, form.elements[field].value.trim()]);
  return new URLSearchParams(chosen.filter(([, value]) => value));
}

/** Which column sorts, and whether downwards: `value`, `-value`, or nothing. */
export function order() {
  const text = form.elements.sort.value;
  return { column: text.replace(/^-/, ""), down: text.startsWith("-") };
}

export function sortBy({ column, down }) {
  form.elements.sort.value = column && (down ? `-${column}` : column);
}

/** Offer the columns to sort by; on a phone the table has no headings. */
export function offerOrders(columns) {
  for (const { name, heading } of columns) {
    form.elements.sort.append(make("option", { value: name }, `${heading}, upwards`), make("option", { value: `-${name}` }, `${heading}, downwards`));
  }
}

/** What a quantity means, in the library's words. */
export const meaningOf = (quantity) => [...form.elements.quantity.options].find((option) => option.value === quantity)?.title ?? "";

/** The place of a quantity in the library's list. */
export const placeOf = (quantity) => [...form.elements.quantity.options].findIndex((option) => option.value === quantity);

/** Offer the names of data sets as they become known. */
export function offerDatasets(rows) {
  const before = seen.size;
  for (const row of rows) seen.add(row.dataset);
  if (seen.size > before) morph(byId("datasets"), [...seen].sort().map((value) => make("option", { value, "data-key": value })));
}

/** Say what is wrong with the data set, the one field that takes any text. */
export function markDataset(isWrong) {
  const control = form.elements.dataset;
  if (isWrong) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}
