// Calibrations side by side: what was asked, what was measured, and what differs.

import { byId, fill, make, tell } from "/assets/shared/elements.js";
import { ROLES } from "/assets/exponents/columns.js";
import { placeOf } from "/assets/exponents/filters.js";
import { called, planLink, signed, withError, words } from "/assets/exponents/measured.js";
import { ask } from "/assets/shared/service.js";

const APART = 2; // standard errors of a difference (chosen): a dot marks what is farther

const known = new Map(); // by id: a calibration. One that has succeeded changes its name alone
const pairs = new Map(); // by both ids: how their code, devices and trials compare
let wanted = ""; // the newest choice

const nameOf = (item) => called(item.id, item.name);

/** {"proxy.depth": "2", …}: a specification, or the part of one that is a record. */
function flat(value, prefix = "") {
  return Object.entries(value).flatMap(([name, part]) => (
    part !== null && typeof part === "object" && !Array.isArray(part) ? flat(part, `${prefix}${name}.`) : [[`${prefix}${name}`, written(part)]]
  ));
}

const written = (value) => (value === null || value === undefined ? "–" : words(Array.isArray(value) ? value.join(" ") || "–" : String(value)));
const mark = (text) => make("span", {}, make("span", { class: "mark", role: "img", "aria-label": "differs" }), text);

/** A line of the table: the first stands as it is, and what differs from it is marked. */
const settingLine = (name, texts) => ({ key: `setting ${name}`, cells: [words(name), ...texts.map((text, index) => (index > 0 && text !== texts[0] ? mark(text) : text))] });

function settingLines(items) {
  const all = items.map(({ spec }) => new Map(flat(spec)));
  const keys = [...new Set(all.flatMap((each) => [...each.keys()]))];
  const texts = (key) => all.map((each) => each.get(key) ?? "–");
  const [same, different] = [[], []];
  for (const key of keys) (new Set(texts(key)).size > 1 ? different : same).push(key);
  return { lines: different.map((key) => settingLine(key, texts(key))), same: same.map((key) => [key, texts(key)[0]]).filter(([, text]) => text !== "–") };
}

/** How far two exponents are apart, in standard errors of their difference; null where an error is unknown. */
function apart(one, other) {
  const error = Math.hypot(one.standard_error ?? NaN, other.standard_error ?? NaN);
  return error > 0 ? (other.value - one.value) / error : null;
}

function exponentLines(items) {
  const all = items.map(({ result }) => new Map((result?.exponents ?? []).map((found) => [`${found.quantity} ${found.role}`, found])));
  const found = new Map(all.flatMap((each) => [...each]));
  const having = (name) => all.filter((each) => each.has(name)).length;
  const place = (name) => 100 * placeOf(found.get(name).quantity) + ROLES.indexOf(found.get(name).role);
  const names = [...found.keys()].sort((one, other) => having(other) - having(one) || place(one) - place(other)); // what all measured first
  return names.map((name) => {
    const [first, ...others] = all.map((each) => each.get(name));
    const cells = others.map((other) => {
      if (!other) return "–";
      const far = first ? apart(first, other) : null;
      const text = withError(other.value, other.standard_error);
      if (far === null) return text;
      return make("span", {}, Math.abs(far) > APART ? mark(text) : text, make("small", {}, ` ${signed(far)} SE`));
    });
    return { key: `exponent ${name}`, cells: [words(name.replace(" ", ", ")), first ? withError(first.value, first.standard_error) : "–", ...cells] };
  });
}

function trialsText({ common, equal, different, largest_difference: gap }) {
  if (common === 0) return "none in common";
  if (different === 0) return `${common} in common, all equal`;
  return mark(`${common} in common, ${equal} equal, ${different} differ${gap === null ? "" : ` by up to ${gap.toPrecision(2)} nats`}`);
}

function sameness({ same, differences }) {
  if (same === null) return "not recorded";
  if (same) return "the same";
  const what = (differences ?? []).map(({ key }) => key).join(", ");
  return mark(what ? `other ${what}` : "other");
}

function evidenceLines(compared) {
  return [
    ["code", ({ code }) => sameness(code)],
    ["device and versions", ({ device }) => sameness(device)],
    ["trials", ({ trials }) => trialsText(trials)],
  ].map(([name, told]) => ({ key: `evidence ${name}`, cells: [name, "", ...compared.map((each) => (each === null ? "not known" : told(each)))] }));
}

function groupLine(name, count) {
  return { key: `group ${name}`, class: "group", cells: [name, ...Array(count).fill("")] };
}

function headLine(items) {
  return {
    key: "head", class: "head",
    cells: ["", ...items.map((item) => make(
      "span", { class: "links" }, make("a", { href: `/calibrations/${item.id}` }, "Open"), planLink(item.id, item.spec),
      make("button", { type: "button", class: "plain small", "data-remove": item.id, "aria-label": `Remove ${nameOf(item)}` }, "Remove"),
    ))],
  };
}

function showItems(items, compared) {
  const { lines, same } = settingLines(items);
  const count = items.length;
  fill(byId("compared"), [["", false], ...items.map((item) => [nameOf(item), false])], [
    headLine(items),
    groupLine("What differs in the specification", count),
    ...(lines.length > 0 ? lines : [{ key: "none", cells: ["nothing", ...Array(count).fill("")] }]),
    groupLine("Exponents", count),
    ...exponentLines(items),
    groupLine("Against the first", count),
    ...evidenceLines(compared),
  ]);
  tell("comparison-hint", `A dot marks what differs from the first; of exponents, what is over ${APART} standard errors (SE) of the difference apart.`);
  tell("same", same.map(([key, text]) => `${words(key)} ${text}`).join("; "));
}

/** Show the calibrations of these ids side by side. A calibration that is not there is told and left out. */
export async function showComparison(ids) {
  wanted = ids.join();
  byId("comparison").hidden = ids.length === 0;
  if (ids.length === 0) return;
  const problems = [];
  for (const id of ids) {
    if (known.has(id)) continue;
    try {
      known.set(id, await ask(`/v1/calibrations/${encodeURIComponent(id)}`));
    } catch (error) {
      problems.push(error.message);
    }
  }
  const items = ids.map((id) => known.get(id)).filter(Boolean);
  const compared = [];
  for (const other of items.slice(1)) {
    const path = `/v1/calibrations/${encodeURIComponent(items[0].id)}/comparison?other=${encodeURIComponent(other.id)}`;
    try {
      if (!pairs.has(path)) pairs.set(path, await ask(path));
      compared.push(pairs.get(path));
    } catch (error) {
      compared.push(null);
      problems.push(error.message);
    }
  }
  if (wanted !== ids.join()) return; // another choice came in the meantime
  tell("comparison-error", problems.join(" "));
  byId("compared").hidden = items.length < 2;
  byId("alike").hidden = items.length < 2;
  if (items.length < 2) tell("comparison-hint", items.length === 1 ? `Tick another calibration to compare it with ${nameOf(items[0])}.` : "");
  else showItems(items, compared);
}
