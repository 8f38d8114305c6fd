// A table on its way in: dropped, chosen or pasted, then what each of its columns means.

import { byId, fill, make, prose, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { amount } from "/assets/sweep/words.js";
import { guessed, KEPT, OUT, OWN, WORDS } from "/assets/sweeps/meanings.js";
import { axisName, contradiction, isAxis, problemsOf, readingOf, runsOf, summary, wordsInLoss } from "/assets/sweeps/rows.js";
import { readTable, Unreadable } from "/assets/sweeps/table.js";

const SHOWN = 3; // values of a column that are shown: its first ones
const LONGEST_SHOWN = 24; // characters of a value
const MOST_BYTES = 200e6; // of a file (chosen): a browser holds it in memory several times over
const SCALES = { "": "as it is", log2: "log2 of it", ln: "ln of it", log10: "log10 of it" };

let table = null;
let columns = [];
let lines = []; // of each column: its fields
let name = ""; // of the file
let readingBefore = () => null; // how the sweep's rows are read that the runs are added to
let onChange = () => {};

/** What the page has: the name of the file, its axes, and the columns with one value; null without a table. */
export function taken() {
  if (!table) return null;
  const axes = columns.filter(isAxis).map((column) => ({ name: axisName(column), isNumeric: column.meaning !== WORDS }));
  return { table, name, axes, single: new Map(columns.filter(({ values }) => values.size === 1).map((column) => [column.name, [...column.values][0]])) };
}

/** Begin. `before` returns how earlier rows were read, or null; `changed` is called when the table or a meaning changes. */
export function beginIntake({ before = () => null, changed = () => {} }) {
  readingBefore = before;
  onChange = changed;
}

/** The runs as they are to be sent, with how to read them; null if the reader must say something first, who is told. */
export function ready() {
  if (!table) return null;
  const { problems, reading, found } = check();
  if (problems.size > 0) {
    (lines.find(({ column }) => problems.has(column.name)) || lines[0]).select.focus();
    return null;
  }
  return { reading, found };
}

/** Forget the table. */
export function emptied() {
  table = null;
  columns = [];
  lines = [];
  byId("file").value = "";
  byId("meaning-of-columns").hidden = true;
  onChange();
}

/** Read a text as a table and show what its columns are taken for. */
export async function takeText(text, from) {
  tell("table-error", "");
  byId("intake").setAttribute("aria-busy", "true");
  tell("table-told", `Reading ${from}…`);
  byId("table-told").hidden = false;
  try {
    const read = await readTable(text);
    table = read;
    name = from;
    columns = await guessed(table, readingBefore());
    byId("words-diverged").checked = false;
    showColumns();
    byId("meaning-of-columns").hidden = false;
    changed();
    byId("columns-heading").focus({ preventScroll: false });
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    emptied();
    tell("table-told", "");
    const place = byId("table-error");
    place.hidden = false;
    morph(place, [make("strong", {}, `${from} can't be read. `), ...prose(error.message)]);
  } finally {
    byId("intake").removeAttribute("aria-busy");
  }
}

async function takeFile(file) {
  if (file.size > MOST_BYTES) {
    tell("table-error", `${file.name} has ${Math.round(file.size / 1e6)} MB; leave out columns and rows that are no runs.`);
    return;
  }
  await takeText(await file.text(), file.name);
}

/** How many values a column has, and from which to which. */
function spread({ values, isNumeric }) {
  if (values.size === 0) return "blank";
  const numbers = isNumeric ? [...values].map(Number).filter(Number.isFinite) : [];
  const [low, high] = numbers.reduce(([least, most], each) => [Math.min(least, each), Math.max(most, each)], [Infinity, -Infinity]);
  if (values.size === 1) return "one";
  return `${values.size.toLocaleString("en")}${low < high ? `, from ${amount(low)} to ${amount(high)}` : ""}`;
}

const short = (text) => (text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text);

function meaningsOf(column) {
  const select = byId("meanings").content.querySelector("select").cloneNode(true);
  select.removeAttribute("name");
  const others = [[OWN, "axis of my own: numbers"], [WORDS, "axis of my own: words"], [KEPT, "kept, not an axis"], [OUT, "left out"]];
  select.prepend(make("option", { value: "" }, "choose…"));
  select.append(...others.map(([value, label]) => make("option", { value }, label)));
  select.value = column.meaning;
  return select;
}

function lineOf(column, index) {
  const select = meaningsOf(column);
  const problem = make("span", { class: "problem", id: `problem-${index}`, hidden: true });
  select.setAttribute("aria-describedby", problem.id);
  select.setAttribute("aria-label", `Meaning of ${column.name || "the column without a name"}`);
  const scale = make("select", { "aria-label": `Scale of ${column.name}` }, make("option", { value: "ask" }, "which logarithm?"), ...Object.entries(SCALES).map(([value, label]) => make("option", { value }, label)));
  scale.value = column.scale;
  const axis = make("input", { "aria-label": `Name of the axis ${column.name}`, value: column.axis, maxlength: 100, spellcheck: "false" });
  select.addEventListener("change", () => { column.meaning = select.value; changed(); });
  scale.addEventListener("change", () => { column.scale = scale.value; changed(); });
  axis.addEventListener("input", () => { column.axis = axis.value; changed(); });
  return { column, select, scale, axis, problem };
}

function showColumns() {
  lines = columns.map(lineOf);
  byId("columns").replaceChildren(); // the fields are new
  fill(byId("columns"), [["Column"], ["First rows"], ["Values"], ["Meaning"]], lines.map(({ column, select, scale, axis, problem }, index) => {
    const first = table.rows.slice(0, SHOWN).map((row) => short(String(row[column.name] ?? "") || "–")).join(" · ");
    return {
      key: String(index),
      cells: [make("code", {}, column.name || "(no name)"), make("span", { class: "first" }, first), spread(column), make("span", { class: "meaning" }, select, scale, axis, problem)],
    };
  }));
}

/** The problems, told at their columns, and the runs if there are none. */
function check() {
  const wordsDiverged = byId("words-diverged").checked;
  const problems = problemsOf(table, columns, wordsDiverged);
  const reading = readingBefore() || readingOf(columns);
  const found = problems.size > 0 ? null : runsOf(table, columns, wordsDiverged, reading);
  const contradicts = found && contradiction(found, columns, reading);
  if (contradicts) problems.set("", contradicts);
  for (const { column, select, scale, axis, problem } of lines) {
    const text = column.name === "" ? "" : problems.get(column.name) || "";
    problem.textContent = text;
    problem.hidden = !text;
    if (text) select.setAttribute("aria-invalid", "true");
    else select.removeAttribute("aria-invalid");
    scale.hidden = column.meaning !== "learning_rate";
    axis.hidden = column.meaning !== OWN && column.meaning !== WORDS;
  }
  tell("columns-problem", problems.get("") || "");
  return { problems, reading, found };
}

function changed() {
  const words = wordsInLoss(table, columns);
  const runs = [...words.values()].reduce((sum, each) => sum + each, 0);
  byId("words-choice").hidden = words.size === 0;
  byId("words-said").textContent = `Count ${runs === 1 ? "the run" : `the ${runs} runs`} whose loss is ${[...words.keys()].slice(0, SHOWN).map((word) => `“${short(word)}”`).join(", ")} as diverged`;
  const { problems, reading, found } = check();
  const size = `${table.rows.length.toLocaleString("en")} rows and ${columns.length} columns in ${name}.`;
  const open = problems.size - (problems.has("") ? 1 : 0);
  if (open > 0) tell("table-told", `${size} ${open === 1 ? "One column needs" : `${open} columns need`} a word from you.`);
  else if (problems.size > 0) tell("table-told", size);
  else {
    const { runs: all, cells, axes, diverged } = summary(found, columns, reading);
    const left = found.unfinished > 0 ? ` ${found.unfinished} did not end by themselves or have no learning rate, and are left out.` : "";
    tell("table-told", `${size} They are ${all.toLocaleString("en")} runs in ${cells} ${cells === 1 ? "cell" : "cells"} over ${axes.join(", ") || "no axis"}; ${diverged} diverged.${left}`);
  }
  onChange();
}

byId("file").addEventListener("change", () => { if (byId("file").files[0]) takeFile(byId("file").files[0]); });
byId("words-diverged").addEventListener("change", changed);
byId("read-pasted").addEventListener("click", () => {
  if (byId("pasted").value.trim()) takeText(byId("pasted").value, "the pasted table");
  else tell("table-error", "Paste a table first: a header, and a row for each run.");
});

// A file may be dropped anywhere: beside the card, a browser would leave the page for it.
const holdsFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
document.addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  byId("intake").classList.add("over");
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) byId("intake").classList.remove("over"); });
document.addEventListener("drop", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  byId("intake").classList.remove("over");
  const { files } = event.dataTransfer;
  if (files.length === 1) takeFile(files[0]);
  else tell("table-error", `${files.length} files were dropped; drop one, and add the others to its sweep.`);
});

