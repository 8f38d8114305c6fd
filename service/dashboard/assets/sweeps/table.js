// A table as a file has it: CSV, TSV, JSON lines or a JSON list, by the rules of `widthwise.sweeps.table`.
//
// Long files are read in parts, between which the page goes on.

const TURN_MS = 12; // of reading before the page has its turn (chosen): under a frame

/** A table that can't be read as it is; the message says what to do about it. */
export class Unreadable extends Error {}

/** Let the page have its turn if the reader had a long one. */
export function turns() {
  let began = performance.now();
  return async () => {
    if (performance.now() - began < TURN_MS) return;
    await new Promise((go) => { setTimeout(go); });
    began = performance.now();
  };
}

/** The columns and the rows of a text, each row an object by column; throws Unreadable. */
export async function readTable(text) {
  const plain = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  if (plain.slice(0, 15) === "SQLite format 3") throw new Unreadable("This is a database of SQLite. For a study of Optuna, use `widthwise fit study.db`, or write it with `study.trials_dataframe().to_csv(\"study.csv\")`.");
  if (plain.includes("\0")) throw new Unreadable("This is not a text file; give CSV, TSV or JSON lines.");
  const begins = plain.trimStart()[0];
  const rows = begins === "[" ? jsonList(plain) : begins === "{" ? await jsonLines(plain) : await separated(plain);
  if (rows.length === 0) throw new Unreadable("It holds no run; give a header and one row for each run.");
  const columns = new Set();
  for (const row of rows) for (const name in row) columns.add(name);
  return { columns: [...columns], rows };
}

// Python writes NaN and Infinity, which JSON lacks: a run without a finite loss.
function parsed(text, where) {
  try {
    return JSON.parse(text);
  } catch {
    try {
      return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (found) => (found[0] === "\"" ? found : "null")));
    } catch (error) {
      throw new Unreadable(`${where}: ${error.message}`);
    }
  }
}

const isSimple = (value) => value === null || typeof value !== "object";

// The objects of an export of W&B, config and summary, become columns with a dot.
function flat(row, number) {
  if (row === null || typeof row !== "object" || Array.isArray(row)) throw new Unreadable(`Row ${number} is ${JSON.stringify(row)}; give an object with a value by column.`);
  const found = {};
  for (const [name, value] of Object.entries(row)) {
    if (isSimple(value)) found[name] = value;
    else for (const [inner, each] of Object.entries(value)) if (isSimple(each)) found[`${name}.${inner}`] = each;
  }
  return found;
}

const jsonList = (text) => parsed(text, "The list can't be read").map((row, index) => flat(row, index + 1));

async function jsonLines(text) {
  const turn = turns();
  const rows = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim()) rows.push(flat(parsed(line, `Line ${index + 1} can't be read`), index + 1));
    await turn();
  }
  return rows;
}

async function separated(text) {
  const turn = turns();
  const source = text.replace(/^\s*\n/, "");
  const [head] = source.split("\n", 1);
  const separator = [",", ";", "\t"].reduce((best, each) => (head.split(each).length > head.split(best).length ? each : best));
  const rows = [];
  let columns = null;
  for (const cells of records(source, separator)) {
    if (columns === null) columns = cells;
    else if (cells.some((cell) => cell.trim())) {
      if (cells.length > columns.length) throw new Unreadable(`Row ${rows.length + 1} has ${cells.length} values, and the header ${columns.length} columns.`);
      const row = {};
      columns.forEach((name, index) => { row[name] = cells[index] ?? null; });
      rows.push(row);
    }
    await turn();
  }
  return rows;
}

/** The records of a text: a quote opens at the beginning of a cell alone, and two of them are one. */
function* records(text, separator) {
  let cells = [];
  let at = 0;
  while (at < text.length) {
    let cell = "";
    if (text[at] === "\"") {
      for (;;) {
        const end = text.indexOf("\"", at + 1);
        cell += text.slice(at + 1, end < 0 ? text.length : end);
        at = end < 0 ? text.length : end + 1;
        if (text[at] !== "\"") break;
        cell += "\"";
      }
    }
    const begin = at;
    while (at < text.length && text[at] !== separator && text[at] !== "\n") at += 1;
    cells.push(cell + text.slice(begin, at));
    if (at < text.length && text[at] === separator) {
      at += 1;
      if (at < text.length) continue;
      cells.push("");
    } else at += 1;
    if (cells.length > 1 || cells[0]) yield cells;
    cells = [];
  }
}
