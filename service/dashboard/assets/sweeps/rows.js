// Runs from the rows of a table, as the service takes them, and what stands in their way.

import { known, KEPT, LONGEST_NAME, NUMBER, OUT, OWN, textOf, WORDS } from "/assets/sweeps/meanings.js";

const POWERS = { log2: (x) => 2 ** x, ln: Math.exp, log10: (x) => 10 ** x };
const MOST_TOLD = 3; // rows with a fault, by number
const LONGEST_TOLD = 40; // characters of a value
const NO_LOSS = /^[+-]?(?:nan|inf|infinity)$/i;

/** The column of each meaning; one that has several is not read at all. */
function byMeaning(columns) {
  const found = new Map();
  for (const column of columns) if (![KEPT, OUT, OWN, WORDS, ""].includes(column.meaning)) found.set(column.meaning, column);
  return found;
}

export const isAxis = ({ meaning }) => meaning === OWN || meaning === WORDS || Boolean(known().get(meaning)?.isAxis);
export const axisName = ({ meaning, axis }) => (meaning === OWN || meaning === WORDS ? axis.trim() : meaning);

/** How the service is to read the rows (`columns`, `groups`, `without`). A rate that is converted comes by its own name. */
export function readingOf(columns) {
  const named = {};
  const groups = [];
  for (const column of columns) {
    if (column.meaning === "" || column.meaning === OUT || column.meaning === KEPT) continue;
    const name = isAxis(column) ? axisName(column) : column.meaning;
    if (column.meaning === WORDS) groups.push(name);
    const converted = column.meaning === "learning_rate" && column.scale;
    if (!converted && (name !== column.name || column.meaning === OWN)) named[name] = column.name;
  }
  const axes = columns.filter(isAxis).map(axisName);
  const without = [...known()].filter(([name, { isAxis: is }]) => is && !axes.includes(name) && columns.some((column) => column.name === name)).map(([name]) => name);
  return { columns: named, groups, without };
}

/** Runs that did not end by themselves, whose loss is not that of a whole run, or that failed before they had a rate. */
function isUnfinished(row, meant) {
  const [status, rate] = ["status", "learning_rate"].map((name) => meant.get(name));
  if (!status) return false;
  return known().get("status").unfinished.includes(textOf(row[status.name]).toLowerCase()) || (rate !== undefined && textOf(row[rate.name]) === "");
}

/** By which name the service reads a column: a sweep that has runs reads later ones as it read the first. */
function keyOf(column, reading) {
  if (column.meaning === KEPT) return column.name;
  const name = isAxis(column) ? axisName(column) : column.meaning;
  return reading.columns[name] ?? name;
}

/** The runs of a table, with the row of each, and how many did not end by themselves. `reading`: how the service reads them. */
export function runsOf({ rows }, columns, wordsDiverged, reading) {
  const meant = byMeaning(columns);
  const rate = meant.get("learning_rate");
  const fields = columns.filter(({ meaning }) => ![KEPT, OUT, ""].includes(meaning)).map((column) => [column, keyOf(column, reading)]);
  const others = columns.filter(({ meaning, name }) => meaning === KEPT && (!known().has(name) || known().get(name).isAxis)).map((column) => [column, column.name]);
  const found = { runs: [], rows: [], unfinished: 0 };
  for (const [index, row] of rows.entries()) {
    if (isUnfinished(row, meant)) {
      found.unfinished += 1;
      continue;
    }
    const run = {};
    for (const [column, key] of [...others, ...fields]) { // a field counts more than another column of its name
      const text = textOf(row[column.name]);
      if (column === rate && column.scale) run[key] = POWERS[column.scale](Number(text));
      else if (column.meaning === "loss" && (NO_LOSS.test(text) || (wordsDiverged && !NUMBER.test(text)))) run[key] = null;
      else run[key] = text === "" ? null : text;
    }
    found.runs.push(run);
    found.rows.push(index + 1);
  }
  return found;
}

/** What is wrong, by column ("" for the whole): texts. The service has the last word; this says all of it at once. */
export function problemsOf({ rows }, columns, wordsDiverged) {
  const problems = new Map();
  const tell = (name, text) => { if (!problems.has(name)) problems.set(name, text); };
  const words = known();
  for (const name of ["learning_rate", "loss"]) {
    const several = columns.filter(({ meaning }) => meaning === name);
    if (several.length === 0) tell("", `Which column is the ${words.get(name).label}?`);
  }
  const names = new Map();
  for (const column of columns) {
    if (column.meaning === "") tell(column.name, column.question || "Say what it is, or leave it out.");
    if (column.meaning === OUT || column.meaning === "") continue;
    if (column.name === "" || column.name.length > LONGEST_NAME) tell(column.name, "It has no name, or a very long one; leave it out.");
    if (column.meaning === KEPT) continue;
    const name = isAxis(column) ? axisName(column) : column.meaning;
    if (!name) tell(column.name, "Give the axis a name.");
    else if (names.has(name)) tell(column.name, `${names.get(name)} is the ${words.get(name)?.label || name} already; leave one of them out.`);
    else names.set(name, column.name);
    if ((column.meaning === OWN || column.meaning === WORDS) && words.has(name)) tell(column.name, `${words.get(name).label} is a name of the list; choose it there, or give another name.`);
    if (column.scale === "ask") tell(column.name, "Which logarithm of the rate is it?");
    const fault = faultOf(column, rows, columns, wordsDiverged);
    if (fault) tell(column.name, fault);
  }
  return problems;
}

function faultOf(column, rows, columns, wordsDiverged) {
  const check = checkOf(column, wordsDiverged);
  if (!check) return "";
  const meant = byMeaning(columns);
  const asked = [column.meaning, column.scale, wordsDiverged, meant.get("status")?.name, meant.get("learning_rate")?.name].join("\n");
  if (column.asked !== asked) Object.assign(column, { asked, fault: faultIn(column, rows, check, meant) });
  return column.fault;
}

function faultIn(column, rows, check, meant) {
  const wrong = [];
  const blank = [];
  for (const [index, row] of rows.entries()) {
    const text = textOf(row[column.name]);
    if (isUnfinished(row, meant) || check.holds(text)) continue;
    if (text === "") blank.push(index + 1);
    else wrong.push(`“${text.slice(0, LONGEST_TOLD)}” in row ${index + 1}`);
  }
  const some = (all) => `${all.slice(0, MOST_TOLD).join(", ")}${all.length > MOST_TOLD ? ` and ${all.length - MOST_TOLD} more` : ""}`;
  const told = [wrong.length > 0 ? some(wrong) : "", blank.length > 0 ? `nothing in row ${some(blank)}` : ""].filter(Boolean).join("; ");
  return told && `${told}: ${check.wants}.`.replace(/^n/, "N");
}

function checkOf({ meaning, scale }, wordsDiverged) {
  const isPositive = (text) => NUMBER.test(text) && Number(text) > 0 && Number.isFinite(Number(text));
  if (meaning === "learning_rate" && scale) return { holds: (text) => NUMBER.test(text), wants: "give a logarithm" };
  if (meaning === "loss") return { holds: (text) => text === "" || NO_LOSS.test(text) || (NUMBER.test(text) ? Number(text) > 0 : wordsDiverged), wants: "give a loss above 0, or nothing if the run diverged" };
  if (meaning === "seed") return { holds: (text) => text === "" || (NUMBER.test(text) && Number.isInteger(Number(text))), wants: "give whole numbers, or leave the column out" };
  if (meaning === "status" || meaning === KEPT) return null;
  if (meaning === "learning_rate") return { holds: isPositive, wants: "give a number above 0" };
  if (meaning === WORDS) return { holds: (text) => text !== "", wants: "give a word in every row, or leave the column out" };
  return { holds: isPositive, wants: "give a number above 0 in every row, or leave the column out" };
}

/** The words that stand where a loss should be. */
export function wordsInLoss({ rows }, columns) {
  const loss = columns.find(({ meaning }) => meaning === "loss");
  const found = new Map();
  if (!loss) return found;
  for (const row of rows) {
    const text = textOf(row[loss.name]);
    if (text !== "" && !NUMBER.test(text) && !NO_LOSS.test(text)) found.set(text, (found.get(text) || 0) + 1);
  }
  return found;
}

/** What the runs are, for a reader who checks them before they leave: how many, in how many cells, and how many diverged. */
export function summary({ runs }, columns, reading) {
  const axes = columns.filter(isAxis).filter(({ values }) => values.size > 0);
  const keys = axes.map((column) => [keyOf(column, reading), column.meaning !== WORDS]);
  const { loss, status } = Object.fromEntries(["loss", "status"].map((name) => [name, reading.columns[name] ?? name]));
  const { finished } = known().get("status");
  const cells = new Set(runs.map((run) => keys.map(([key, isNumber]) => (isNumber ? Number(run[key]) : run[key])).join("\n")));
  const ended = (run) => !run[status] || finished.includes(run[status].toLowerCase());
  const diverged = runs.filter((run) => run[loss] === null || !ended(run)).length;
  return { runs: runs.length, cells: cells.size, axes: axes.map(axisName), diverged };
}

/** Two rows that are one run by axes, rate and seed, with different losses, which the service refuses; "" if there are none. */
export function contradiction({ runs, rows }, columns, reading) {
  const key = (name) => reading.columns[name] ?? name;
  const [rate, loss, seed] = ["learning_rate", "loss", "seed"].map(key);
  const axes = columns.filter(isAxis).map((column) => keyOf(column, reading));
  const kept = columns.filter(({ meaning }) => meaning === KEPT).map(({ name }) => name);
  const found = new Map();
  for (const [index, run] of runs.entries()) {
    if (run[seed] === null || run[seed] === undefined) continue;
    const place = [...axes.map((name) => run[name]), Number(run[rate]), run[seed]].join("\n");
    const other = found.get(place);
    if (other === undefined) found.set(place, index);
    else if (runs[other][loss] !== run[loss]) {
      const differ = kept.filter((name) => runs[other][name] !== run[name]);
      return `Rows ${rows[other]} and ${rows[index]} are one run by their axes, learning rate and seed, but their losses differ. ${differ.length > 0 ? `They differ in ${differ.join(", ")}: is that an axis?` : "Which axis is missing?"}`;
    }
  }
  return "";
}
