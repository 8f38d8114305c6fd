// The library: what calibrations measured, filtered, sorted, drawn beside theory, compared and taken along.

import { fromAddress, intoAddress } from "/assets/shared/address.js";
import { byId, tell } from "/assets/shared/elements.js";
import { begin, refresh } from "/assets/shared/page.js";
import { save } from "/assets/shared/saving.js";
import { Refused, ask } from "/assets/shared/service.js";
import { COLUMNS, ordered } from "/assets/exponents/columns.js";
import { showComparison } from "/assets/exponents/comparison.js";
import { csv } from "/assets/exponents/csv.js";
import { markDataset, offerDatasets, offerOrders, order, query, readFilters, sortBy, writeFilters } from "/assets/exponents/filters.js";
import { showForests } from "/assets/exponents/forest.js";
import { showTable, tick } from "/assets/exponents/table.js";

const READ_MS = 15_000; // between readings (chosen): a calibration rarely ends
const TYPING_MS = 250; // a pause in typing before the rows are asked for
const PAGE = 500; // rows of a request, the most that the API gives
const MOST = 1000; // rows that are read (chosen); the filter leads to older ones
const SHOWN = 100; // rows of the table at first (chosen), and more of them at a press

let rows = null; // those of the filter, newest first
let hasMore = false; // whether older ones were left out
let isFiltered = false; // whether they were asked for with a filter
let limit = SHOWN;
let asked = 0;

const chosen = () => new Set((fromAddress("compare") ?? "").split(",").filter(Boolean));

async function read() {
  const mine = ++asked;
  const found = [];
  const filter = [...query()];
  let cursor = null;
  try {
    do {
      const page = await ask(`/v1/exponents?${new URLSearchParams([...filter, ["limit", PAGE], ...(cursor ? [["cursor", cursor]] : [])])}`);
      found.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor && found.length < MOST);
  } catch (error) {
    if (mine !== asked) return;
    if (!(error instanceof Refused) || error.status !== 422) throw error;
    markDataset(true); // the one field that takes any text
    tell("filter-error", `The rows below are those of before: ${error.errors.map(({ message }) => message).join(" ") || error.message}`);
    return;
  }
  if (mine !== asked) return; // the filter has changed in the meantime
  markDataset(false);
  tell("filter-error", "");
  const wasFiltered = isFiltered;
  isFiltered = filter.length > 0;
  const isSame = rows !== null && JSON.stringify(found) === JSON.stringify(rows) && hasMore === Boolean(cursor) && wasFiltered === isFiltered;
  rows = found;
  hasMore = Boolean(cursor);
  offerDatasets(rows);
  if (!isSame) show();
}

function show() {
  if (rows === null) return;
  const isEmpty = rows.length === 0 && !isFiltered;
  byId("reading").hidden = true;
  byId("none-yet").hidden = !isEmpty;
  byId("library").hidden = isEmpty;
  const inOrder = ordered(rows, order());
  showRows(inOrder);
  byId("exponents").hidden = rows.length === 0;
  byId("pictures").hidden = rows.length === 0;
  byId("download").hidden = rows.length === 0;
  byId("clear").hidden = !isFiltered;
  showForests(inOrder);
  tell("counted", counted());
}

/** The table alone: what is opened or shown further changes no picture. */
function showRows(inOrder = ordered(rows, order())) {
  showTable(inOrder.slice(0, limit), order(), fromAddress("open"), chosen());
  const left = rows.length - limit;
  byId("more").hidden = left <= 0;
  byId("more").textContent = `Show ${Math.min(left, SHOWN)} more of ${rows.length}`;
}

function counted() {
  if (rows.length === 0) return "No exponent matches. Clear the filter, or widen it.";
  const calibrations = new Set(rows.map((row) => row.calibration_id)).size;
  const number = `${rows.length} ${rows.length === 1 ? "exponent" : "exponents"} of ${calibrations} ${calibrations === 1 ? "calibration" : "calibrations"}`;
  return hasMore ? `The newest ${number}; older ones were not read: narrow the filter to see them.` : `${number}.`;
}

function compare(ids) {
  intoAddress({ compare: ids.length > 0 ? ids.join(",") : null });
  tick(chosen());
  showComparison(ids);
  tellChosen(ids.length);
}

/** What was ticked far down in the table stands above it. */
function tellChosen(count) {
  byId("chosen").hidden = count < 2;
  tell("chosen-told", `${count} calibrations are side by side above.`);
}

// what a reader does ----------------------------------------------------------

let typing = 0;
byId("filters").addEventListener("input", ({ target }) => {
  writeFilters();
  if (target.name === "sort") return show();
  limit = SHOWN;
  clearTimeout(typing);
  typing = setTimeout(again, target.name === "dataset" ? TYPING_MS : 0);
});
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("reset", () => setTimeout(() => { // the fields are empty once the event is over
  writeFilters();
  show();
  again();
  byId("filters").elements.quantity.focus(); // the button goes when nothing is filtered
}));

byId("exponents").addEventListener("click", ({ target }) => {
  const { sort, open } = target.closest("button")?.dataset ?? {};
  if (sort) {
    const now = order();
    sortBy(now.column !== sort ? { column: sort, down: false } : now.down ? { column: "", down: false } : { column: sort, down: true });
    writeFilters();
    show();
  }
  if (open) {
    intoAddress({ open: open === fromAddress("open") ? null : open });
    showRows();
  }
});
byId("exponents").addEventListener("change", ({ target }) => {
  const id = target.dataset.calibration;
  if (!id) return;
  const ids = [...chosen()].filter((each) => each !== id);
  compare(target.checked ? [...ids, id] : ids);
});
byId("compared").addEventListener("click", ({ target }) => {
  const id = target.closest("[data-remove]")?.dataset.remove;
  if (!id) return;
  compare([...chosen()].filter((each) => each !== id));
  byId("comparison-heading").focus(); // the button is gone
});
byId("clear-comparison").addEventListener("click", () => {
  compare([]);
  byId("exponents").querySelector("input")?.focus();
});
byId("to-comparison").addEventListener("click", () => byId("comparison-heading").focus());
byId("more").addEventListener("click", () => {
  limit += SHOWN;
  showRows();
});
byId("download").addEventListener("click", () => save(new Blob([csv(ordered(rows, order()))], { type: "text/csv" }), "exponents.csv"));
byId("pictures").addEventListener("toggle", show);

/** Everything that the address says. */
function readAddress() {
  readFilters();
  show();
  showComparison([...chosen()]);
  tellChosen(chosen().size);
}

window.addEventListener("hashchange", () => {
  readAddress();
  again();
});
new ResizeObserver(() => rows && showForests(ordered(rows, order()))).observe(byId("forests"));

offerOrders(COLUMNS);
begin(readAddress);
const again = refresh(READ_MS, read);
