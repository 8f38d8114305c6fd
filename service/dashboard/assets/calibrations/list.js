// The list of calibrations: filtered, refreshed in place, and as far back as the reader has asked.

import { fromAddress, intoAddress } from "/assets/shared/address.js";
import { byId, fill, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { number } from "/assets/shared/numbers.js";
import { refresh } from "/assets/shared/page.js";
import { ask } from "/assets/shared/service.js";
import { hasEnded, progress, stateOf } from "/assets/shared/states.js";
import { duration, minus } from "/assets/shared/words.js";

const LIST_MS = 3000; // between readings of the list
const SHORT = 12; // characters of an identifier in the list (chosen): no two in sight are alike
const REASON = 160; // characters of a failure's reason (chosen): two or three lines
const MANY_WIDTHS = 5; // more are shown by their ends

const filter = byId("filter");
let pages = 1; // that the reader has asked for
let turn = 0;
let wordFor = (name, value) => value;

const begun = (text) => (text.length > REASON ? `${text.slice(0, REASON)}…` : text);
const short = (id) => `${id.slice(0, SHORT)}…`; // its page has all of it

/** How the best learning rate of hidden matrices moves with width: the exponent with its standard error, and whether it is theory's. */
function found(item) {
  if (item.state === "failed") return make("small", { class: "reason" }, begun(item.reason || "failed"));
  if (!item.result) return "–";
  const { exponents, candidates } = item.result;
  const hidden = exponents.find(({ quantity, role }) => quantity === "learning_rate" && role === "hidden") ?? exponents.find(({ quantity }) => quantity === "learning_rate");
  if (!hidden) {
    const others = [...new Set(exponents.map(({ quantity }) => quantity.replaceAll("_", " ")))];
    return others.length > 0 ? make("small", {}, `exponents of ${others.join(", ")}`) : "no exponent";
  }
  const law = candidates?.find(({ chosen }) => chosen)?.name;
  const power = `∝ width^${minus(number(-hidden.value, 3))}`;
  if (law && law !== "power") return make("span", {}, power, " ", make("small", {}, "theory’s, not refuted"));
  return make("span", {}, hidden.standard_error === null ? power : `${power} ± ${number(hidden.standard_error, 2)}`);
}

function widths(all) {
  return all.length > MANY_WIDTHS ? `${all[0]} … ${all.at(-1)} (${all.length})` : all.join(", ");
}

/** How far one is: its trials, or its shards where all of these only measure; and for how long it will still run. */
function done(item) {
  const { shards, trials_total: total, seconds_left: left } = item.progress;
  const all = Object.values(shards).reduce((sum, count) => sum + count, 0);
  const bar = total === 0 && all > 0 ? `${shards.succeeded ?? 0} of ${all} shards` : progress(item);
  return left && !hasEnded(item) ? make("span", { class: "named" }, bar, make("small", {}, `about ${duration(left)} left`)) : bar;
}

function templateOf(id) {
  const { state, named } = filtered();
  return `/calibrations#${new URLSearchParams({ ...(state && { state }), ...(named && { named }), from: id })}`;
}

function row(item) {
  const { spec } = item;
  const alignment = typeof spec.alignment === "string" ? `${spec.alignment} alignment` : "measured alignment";
  return {
    key: item.id,
    cells: [
      make("span", { class: "named" }, make("a", { href: `/calibrations/${item.id}`, title: item.id }, item.name || short(item.id)), item.name ? make("small", {}, short(item.id)) : null),
      stateOf(item),
      done(item),
      make("span", {}, `${wordFor("parameterization", spec.parameterization)}, ${wordFor("optimizer", spec.optimizer)}, `, make("small", {}, alignment)),
      make("span", {}, `${spec.proxy.architecture}, `, make("small", {}, spec.proxy.dataset)),
      widths(spec.widths),
      found(item),
      make("span", { class: "named" }, make("time", { datetime: item.created_at }, new Date(item.created_at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })),
        make("a", { class: "small", href: templateOf(item.id), "aria-label": `Use ${item.name || item.id} as a template` }, "use as a template")),
    ],
  };
}

const COLUMNS = [["Calibration"], ["State"], ["Trials"], ["Setting"], ["Proxy"], ["Widths"], ["Hidden learning rate"], ["Submitted"]];

/** Read as many pages as are shown, one after the other: newer calibrations move older ones across their ends. */
async function readPages() {
  const items = [];
  let cursor = null;
  for (let page = 0; page < pages; page += 1) {
    const query = new URLSearchParams({ limit: "50" });
    if (filter.elements.state.value) query.set("state", filter.elements.state.value);
    if (filter.elements.named.value.trim()) query.set("name", filter.elements.named.value.trim());
    if (cursor) query.set("cursor", cursor);
    const answer = await ask(`/v1/calibrations?${query}`);
    items.push(...answer.items);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  return { items, hasOlder: cursor !== null };
}

async function showList() {
  turn += 1;
  if (turn % pages !== 0) return; // so that a long list is asked for as often as a short one
  const asked = JSON.stringify(filtered());
  const { items, hasOlder } = await readPages();
  if (asked !== JSON.stringify(filtered())) return; // another question is on its way
  const isFiltered = Object.values(filtered()).some(Boolean);
  byId("reading").hidden = true;
  byId("no-calibrations").hidden = items.length > 0 || isFiltered;
  byId("none-found").hidden = items.length > 0 || !isFiltered;
  byId("calibrations").hidden = items.length === 0;
  fill(byId("calibrations"), COLUMNS, items.map(row));
  byId("older").hidden = !hasOlder;
  tell("shown", hasOlder || pages > 1 ? `${items.length} are shown${hasOlder ? "" : ": all of them"}.` : "");
  if (!isFiltered) morph(byId("names"), [...new Set(items.map(({ name }) => name).filter(Boolean))].map((name) => make("option", { value: name })));
}

const filtered = () => ({ state: filter.elements.state.value, named: filter.elements.named.value.trim() });

function refiltered() {
  pages = 1;
  const { state, named } = filtered();
  intoAddress({ state: state || null, named: named || null });
  readAgain();
}

function readFilter() {
  filter.elements.state.value = fromAddress("state") ?? "";
  filter.elements.named.value = fromAddress("named") ?? "";
}

let readAgain = () => {};

/** Show the list. `words` gives the page's words for a member of a specification. */
export function showCalibrations(words) {
  wordFor = words;
  readFilter();
  const read = refresh(LIST_MS, showList);
  readAgain = () => {
    turn = pages - 1; // at once
    read();
  };
}

for (const control of filter.elements) control.setAttribute("aria-label", control.closest("label").firstChild.textContent); // without its options

filter.addEventListener("input", refiltered);
filter.addEventListener("submit", (event) => event.preventDefault());
byId("show-all").addEventListener("click", () => {
  filter.reset();
  refiltered();
  filter.elements.state.focus();
});
byId("older").addEventListener("click", () => {
  pages += 1;
  readAgain();
});
window.addEventListener("hashchange", () => {
  readFilter();
  readAgain();
});
