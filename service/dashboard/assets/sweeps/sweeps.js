// Own sweeps: the list, and a new one from a table.

import { byId, fill, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { refresh } from "/assets/shared/page.js";
import { ask } from "/assets/shared/service.js";
import { amount } from "/assets/sweep/words.js";
import { exampleTable } from "/assets/sweeps/example.js";
import { beginIntake, ready, taken, takeText } from "/assets/sweeps/intake.js";
import { isUnknown, sending } from "/assets/sweeps/sending.js";
import { createSweep } from "/assets/sweeps/upload.js";

const LIST_MS = 10_000; // between readings of the list (chosen): sweeps change when somebody uploads
const PAGE = 50;

const about = byId("about-sweep");
let pages = 1; // that are shown
let shown = null; // the table whose setting was taken over
let nameOfFile = ""; // from which the name was taken, unless the reader gave one

async function showList() {
  const items = [];
  let cursor = null;
  for (let page = 0; page < pages && (page === 0 || cursor); page += 1) {
    const answer = await ask(`/v1/sweeps?limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    items.push(...answer.items);
    cursor = answer.next_cursor;
  }
  byId("loading-sweeps").hidden = true;
  byId("no-sweeps").hidden = items.length > 0;
  byId("sweeps").hidden = items.length === 0;
  byId("more-sweeps").hidden = !cursor;
  fill(byId("sweeps"), [["Sweep"], ["Runs", true], ["Diverged", true], ["Cells", true], ["Axes"], ["Setting"], ["Created"]], items.map((sweep) => ({
    key: sweep.id,
    cells: [
      make("a", { href: `/sweeps/${sweep.id}` }, sweep.name), String(sweep.runs), String(sweep.diverged), String(sweep.cells),
      Object.entries(sweep.axes).map(([axis, values]) => `${axis} ${covered(values)}`).join(", ") || "–",
      [sweep.reading.parameterization, sweep.reading.optimizer].filter(Boolean).join(", ") || "–", new Date(sweep.created_at).toLocaleString(),
    ],
  })));
}

const covered = ({ levels, low, high }) => (levels ? levels.join("/") : low === high ? amount(low) : `${amount(low)}–${amount(high)}`);

function showAbout() {
  const found = taken();
  byId("about-sweep").hidden = !found;
  if (!found) return;
  if (about.elements.name.value === nameOfFile) about.elements.name.value = nameOfFile = found.name.replace(/\.[^.]+$/, "").replace(/[\x00-\x1f\x7f]/g, " ").slice(0, 200);
  if (shown !== found.table) {
    shown = found.table;
    for (const field of ["parameterization", "optimizer"]) { // a table that says its setting says it in one word
      const word = found.single.get(field);
      about.elements[field].value = [...about.elements[field].options].some(({ value }) => value === word) ? word : "";
    }
  }
  const axes = found.axes.filter(({ isNumeric, name }) => isNumeric && name);
  byId("prescribed-part").hidden = axes.length === 0;
  morph(byId("prescribed"), axes.map(({ name }) => make("label", { class: "check", "data-key": name }, make("input", { type: "checkbox", name: "prescribed", value: name }), name)));
  showAlignment();
}

const prescribed = () => [...byId("prescribed").querySelectorAll("input:checked")].map((box) => box.value);

function showAlignment() {
  byId("alignment-part").hidden = !prescribed().includes("width");
}

about.addEventListener("change", showAlignment);
about.addEventListener("submit", async (event) => {
  event.preventDefault();
  const found = ready();
  if (!found) {
    tell("send-error", "Say first what is marked in the table above.");
    return;
  }
  const { name, notes, parameterization, optimizer, alignment } = about.elements;
  const body = { name: name.value.trim(), ...found.reading, prescribed: prescribed() };
  for (const field of [notes, parameterization, optimizer]) if (field.value.trim()) body[field.name] = field.value.trim();
  if (prescribed().includes("width")) body.alignment = alignment.value;
  const sweep = await sending(found.found.runs.length, (told, signal) => createSweep(body, found.found, told, signal), (reason, error) => `${reason} ${whatIsLeft(error)}`);
  if (sweep) location.assign(`/sweeps/${sweep.id}`);
});
function whatIsLeft(error) {
  if (error.left) return `A part of the runs is stored as “${error.left.name}” and could not be deleted; delete it from its page, in the list below.`;
  return isUnknown(error) ? "A part may be stored all the same: look at the list below once the service answers." : "Nothing is stored.";
}

byId("example").addEventListener("click", () => takeText(exampleTable(), "the example"));
byId("more-sweeps").addEventListener("click", () => { pages += 1; again(); });

beginIntake({ changed: showAbout });
const again = refresh(LIST_MS, showList);
