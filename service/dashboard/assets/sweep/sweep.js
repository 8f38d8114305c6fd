// One sweep: what it covers, its fit, a prediction, and more runs.

import { alignmentFields } from "/assets/shared/alignment.js";
import { downloads } from "/assets/shared/downloads.js";
import { byId, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { editLabels } from "/assets/shared/labels.js";
import { number } from "/assets/shared/numbers.js";
import { refresh } from "/assets/shared/page.js";
import { ask, picture, Refused, send } from "/assets/shared/service.js";
import { offerHoldout } from "/assets/sweep/holdout.js";
import { lawNodes } from "/assets/sweep/law.js";
import { showOptima } from "/assets/sweep/optima.js";
import { offerPlace } from "/assets/sweep/prediction.js";
import { spaced } from "/assets/shared/words.js";
import { amount } from "/assets/sweep/words.js";
import { beginIntake, emptied, ready, taken } from "/assets/sweeps/intake.js";
import { isListed } from "/assets/sweeps/meanings.js";
import { isUnknown, sending } from "/assets/sweeps/sending.js";
import { addRuns } from "/assets/sweeps/upload.js";

const READ_MS = 10_000; // between readings (chosen): runs may arrive from elsewhere
const GONE = 404, CONFLICT = 409, FORBIDDEN = 403;

const id = decodeURIComponent(location.pathname.split("/").pop());
const address = `/v1/sweeps/${encodeURIComponent(id)}`;
let sweep = null;
let fitted = -1; // the revision whose fit, or refusal, is shown
let turn = 0; // of the readings, the latest of which counts
let leaving = false; // while it is deleted: what is gone is not read
let fitting = null; // the revision that is being fitted

async function read() {
  if (leaving) return;
  const mine = ++turn;
  try {
    const found = await ask(address);
    if (mine !== turn) return;
    sweep = found;
  } catch (error) {
    if (error.status !== GONE) throw error;
    for (const name of ["reading-sweep", "fitted", "offers", "name-form", "notes-form"]) byId(name).hidden = true;
    byId("adding").closest("section").hidden = true;
    tell("sweep-error", "There is no such sweep; it may have been deleted, or belong to another key's owner.");
    return;
  }
  showSweep();
  if (fitted !== sweep.revision && fitting !== sweep.revision) showFit().catch((error) => tell("sweep-error", error.message));
}

function showSweep() {
  if (!byId("downloads").hasChildNodes()) byId("downloads").append(downloads(`${address}/plot`, () => sweep.name.replace(/[^\w.-]+/g, "_"), "the figure"));
  const { name, notes, runs, diverged, cells, axes, reading, created_at: created } = sweep;
  document.title = `${name} – Widthwise`;
  byId("sweep-name").textContent = name;
  byId("reading-sweep").hidden = true;
  byId("offers").hidden = false;
  byId("edit-notes").textContent = notes ? "Edit the notes" : "Add notes";
  tell("sweep-error", "");
  tell("sweep-notes", notes);
  const setting = [reading.parameterization, reading.optimizer].filter(Boolean).join(", ");
  const facts = [["Runs", `${runs.toLocaleString("en")}, ${diverged} of them diverged`], ["Cells", `${cells}: runs of a cell differ in learning rate and seed alone`]];
  for (const [axis, values] of Object.entries(axes)) facts.push([spaced(axis), `${covered(values)}${reading.prescribed.includes(axis) ? "; rates already scaled over it" : ""}`]);
  if (setting) facts.push(["Setting", setting]);
  facts.push(["Created", `${new Date(created).toLocaleString()}, ${sweep.revision} ${sweep.revision === 1 ? "upload" : "uploads"}`]);
  morph(byId("coverage"), [make("dl", {}, ...facts.flatMap(([term, text]) => [make("dt", { "data-key": `${term} term` }, term), make("dd", { "data-key": `${term} text` }, text)]))]);
}

function covered({ levels, low, high }) {
  if (levels) return levels.join(", ");
  return low === high ? `${amount(low)} in every run` : `${amount(low)} to ${amount(high)} (×${number(high / low, 3)})`;
}

async function showFit() {
  const { revision, runs, cells } = sweep;
  fitting = revision;
  byId("fitted").classList.toggle("void", fitted >= 0);
  tell("fitting", `Fitting ${runs} runs in ${cells} cells. The first time takes seconds, and half a minute for a thousand cells; the fit is then kept.`);
  try {
    const fit = await ask(`${address}/fit`);
    tell("refusal", "");
    byId("fitted").hidden = false;
    morph(byId("law"), [...lawNodes(fit, sweep.reading.prescribed), ...inTransfers()]);
    showOptima(fit);
    offerPlace(sweep, address);
    offerHoldout(sweep, address);
    showPicture(fit);
    fitted = fit.sweep.revision; // only now: what could not be shown is tried again, and said again
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status !== CONFLICT) throw error; // it is asked again with the next reading
    fitted = revision;
    byId("fitted").hidden = true;
    tell("refusal", refusal(error.message, runs));
  } finally {
    fitting = null;
    byId("fitted").classList.remove("void");
    tell("fitting", "");
  }
}

/** How a transfer takes the exponent over width from here, if it can. */
function inTransfers() {
  const { parameterization, optimizer } = sweep.reading;
  if (!sweep.axes.width || sweep.axes.width.levels) return [];
  if (!parameterization || !optimizer) return [make("p", { class: "hint" }, "A transfer can follow this exponent over width if the sweep says its parameterization and optimizer when it is uploaded.")];
  const fields = new URLSearchParams({ exponents: `sweep:${id}`, parameterization, optimizer, ...alignmentFields(sweep.reading.alignment, sweep.reading.readout_omega) });
  return [make("p", { class: "hint" }, "A transfer follows this exponent over width: ", make("a", { href: `/#${fields}` }, "use it in a plan"), ", or ", make("code", {}, `widthwise transfer request.json --sweep ${id}`))];
}

function refusal(message, runs) {
  if (runs === 0) return "There are no runs yet. Drop a file with some below; the fit follows by itself.";
  return `There is no fit. ${message.replace(/^Sweep '[^']*' can't be fitted: /, "").replace(/^./, (first) => first.toUpperCase())}`;
}

function showPicture(fit) {
  const image = byId("plot");
  image.alt = `Loss over learning rate of ${fit.optima.length} cells with their fits, and the best rate over each axis; the tables below have the numbers.`;
  picture(image, `${address}/plot.svg`).then(() => tell("picture-error", ""), (error) => tell("picture-error", `The picture can't be shown: ${error.message}`));
}

editLabels(address, { name: "rename", notes: "edit-notes" }, () => sweep, (found) => {
  sweep = found;
  showSweep();
  again(); // a reading that is under way may have begun before
});

byId("delete").addEventListener("click", () => {
  byId("sure-words").textContent = `Delete “${sweep.name}” with its ${sweep.runs} runs? Plans that were made from it stay as they are.`;
  byId("sure").hidden = false;
  byId("keep").focus();
});
byId("keep").addEventListener("click", () => {
  byId("sure").hidden = true;
  byId("delete").focus();
});
byId("delete-now").addEventListener("click", async () => {
  leaving = true;
  try {
    await send(address, { method: "DELETE" });
    location.assign("/sweeps");
  } catch (error) {
    leaving = false;
    tell("sweep-error", error.status === FORBIDDEN ? `${error.message} Deleting needs a key with scope calibrate.` : error.message);
  }
});

/** What is wrong if the table's axes are not the sweep's: once it has runs, all have the same ones. */
function otherAxes() {
  const { columns, groups, without } = sweep.reading;
  const there = taken().axes.map(({ name }) => name);
  const has = Object.keys(sweep.axes);
  const axes = sweep.runs > 0 ? has : [...there.filter((name) => isListed(name) && !without.includes(name)), ...Object.keys(columns), ...groups];
  const missing = has.filter((name) => !there.includes(name));
  const more = there.filter((name) => !axes.includes(name));
  if (missing.length > 0) return `The sweep's axes are ${has.join(", ")}. Say which column is ${missing.join(", ")}.`;
  if (more.length > 0) return `The sweep has no axis ${more.join(", ")}: leave that column out, or upload the table as a sweep of its own.`;
  return "";
}

function whatIsThere(error) {
  const { stored = 0 } = error;
  if (isUnknown(error)) return "A part of the runs may be stored: drop the file again once the service answers, and they count once.";
  if (stored === 0) return "None of the file's runs is stored.";
  return `The first ${stored.toLocaleString("en")} runs of the file are stored; drop the file again once it is right, and they count once.`;
}

byId("adding").addEventListener("submit", async (event) => {
  event.preventDefault();
  const found = ready();
  if (!found) {
    tell("send-error", "Say first what is marked in the table above.");
    return;
  }
  const { runs } = found.found;
  const fault = otherAxes();
  if (fault) {
    tell("send-error", fault);
    return;
  }
  tell("added", "");
  const added = await sending(runs.length, (told, signal) => addRuns(id, found.found, told, signal), (reason, error) => `${reason} ${whatIsThere(error)}`);
  if (added === null) return;
  emptied();
  tell("added", `${added} of ${runs.length} runs were new.`);
  await again();
});

beginIntake({
  before: () => sweep?.reading,
  changed: () => { byId("adding").hidden = !taken(); },
});
const again = refresh(READ_MS, read);
