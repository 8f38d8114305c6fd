// What a column means: guessed by the names that the library knows, and never in silence.
//
// A meaning is a field of a run, an axis, or one of the words below; "" is open, and the reader is asked.

import { byId } from "/assets/shared/elements.js";
import { turns } from "/assets/sweeps/table.js";

export const OWN = "own axis";
export const WORDS = "own axis of words";
export const KEPT = "kept";
export const OUT = "left out";
export const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
export const LONGEST_NAME = 100; // characters of a column that the service takes

const PREFIXES = /^(?:params_|user_attrs_|config[./]|summary[./])/;
const LOGARITHMS = { log2: "log2", ln: "ln", log10: "log10", log: "" }; // log is 10's or e's: it is asked
const MOST_KEPT = 32; // columns of a run that are no axes, which the service takes
const OPEN = {
  n: "Is it parameters, a width, or the number of something else?", d: "Is it tokens, a width, or something else?",
  c: "Is it compute? Then leave it out: it follows from the other axes.",
  bs: "In tokens it is batch tokens; in sequences, make it a separate axis.",
  batch: "In tokens it is batch tokens; in sequences, make it a separate axis.",
  batch_size: "In tokens it is batch tokens; in sequences, make it a separate axis.",
  steps: "It is no tokens. Make it an axis of its own, or leave it out if it follows from the others.",
};

let words = null; // of the page's list, once it is read

const plain = (name) => name.replace(PREFIXES, "").toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, "");

/** The meanings that the library knows: by word its label, whether it is an axis, and the names that a table has for it. */
export function known() {
  return (words ||= read());
}

/** Whether an axis is one that the service reads by its name. */
export const isListed = (name) => Boolean(known().get(name)?.isAxis);

function read() {
  const options = [...byId("meanings").content.querySelectorAll("option")];
  return new Map(options.map(({ value, textContent, dataset }) => [value, {
    label: textContent, isAxis: dataset.kind === "axis", names: dataset.names.split(" "),
    finished: dataset.finished?.split(" "), unfinished: dataset.unfinished?.split(" "),
  }]));
}

const NUMBERS = /^[+-]?(?:nan|inf|infinity)$/i;
const MOSTLY = 0.5; // of the values of an axis are numbers, or its name deceives; those that aren't are told

/** A column with its values, of which `numbers` are numbers. */
function described(rows, name) {
  const values = new Set();
  for (const row of rows) {
    const text = textOf(row[name]);
    if (text) values.add(text);
  }
  let numbers = 0;
  for (const text of values) if (NUMBER.test(text) || NUMBERS.test(text)) numbers += 1;
  return { name, values, isNumeric: numbers === values.size, isMostlyNumeric: numbers >= MOSTLY * values.size, meaning: null, scale: "", axis: name, question: "" };
}

export const textOf = (value) => (value === null || value === undefined ? "" : String(value).trim());

/**
 * The columns of a table, each { name, values, isNumeric, meaning, scale, axis, question …}. `reading`: how the rows of a sweep
 * are read that the table is added to; its columns then mean what they meant.
 */
export async function guessed({ columns, rows }, reading = null) {
  const words = known();
  const turn = turns();
  const read = [];
  for (const name of columns) {
    read.push(described(rows, name));
    await turn();
  }
  const taken = new Set();
  const say = (column, meaning, more = {}) => {
    Object.assign(column, { meaning, ...more });
    taken.add(meaning);
  };
  if (reading) followed(read, reading, words, say);
  const scaled = new Map();
  for (const column of read) {
    const [, logarithm, name] = /^(?:(log2|ln|log10|log)_)?(.*)$/.exec(plain(column.name));
    scaled.set(column, { logarithm, name });
  }
  for (const [meaning, { names }] of words) {
    if (taken.has(meaning) || reading?.without.includes(meaning)) continue;
    const fits = (name, ofRate) => read.find((column) => {
      const found = scaled.get(column);
      return column.meaning === null && column.values.size > 0 && found.name === name && Boolean(found.logarithm) === ofRate;
    });
    const direct = names.map((name) => fits(name, false)).find(Boolean);
    const asLogarithm = meaning === "learning_rate" && !direct ? names.map((name) => fits(name, true)).find(Boolean) : null;
    const column = direct || asLogarithm;
    if (!column || (words.get(meaning).isAxis && !column.isMostlyNumeric)) continue;
    say(column, meaning, asLogarithm ? { scale: LOGARITHMS[scaled.get(column).logarithm] || "ask" } : {});
    const most = [...column.values].filter((each) => NUMBER.test(each));
    if (meaning === "learning_rate" && !asLogarithm && most.length > 0 && most.every((each) => Number(each) <= 0)) column.scale = "ask";
  }
  if (!taken.has("loss") && words.has("loss")) {
    const objective = read.find((column) => column.name === "value" && column.meaning === null); // Optuna's
    if (objective && read.some(({ name }) => name.startsWith("params_"))) say(objective, "loss");
  }
  const asks = !reading || Object.keys(reading.columns).length === 0; // else it was answered when the sweep was made
  let kept = 0;
  for (const column of read.filter(({ meaning }) => meaning === null)) {
    const name = plain(column.name);
    if (asks && column.isNumeric && column.values.size > 1 && Object.hasOwn(OPEN, name)) Object.assign(column, { meaning: "", question: OPEN[name] });
    else if (column.values.size > 0 && column.values.size <= Math.max(rows.length, 2) / 2 && nameable(column) && kept < MOST_KEPT) {
      column.meaning = KEPT;
      kept += 1;
    } else column.meaning = OUT;
  }
  return read;
}

const nameable = ({ name, values }) => name !== "" && name.length <= LONGEST_NAME && !/[\x00-\x1f\x7f]/.test(name) && [...values].every((each) => each.length <= 300 && !/[\x00-\x1f\x7f]/.test(each));

function followed(read, reading, words, say) {
  for (const column of read) {
    const named = Object.entries(reading.columns).find(([, from]) => from === column.name)?.[0];
    if (named) say(column, words.has(named) ? named : reading.groups.includes(named) ? WORDS : OWN, { axis: named });
    else if (reading.groups.includes(column.name)) say(column, WORDS);
    else if (reading.without.includes(column.name)) say(column, OUT);
  }
}
