// The form of a new calibration: what it will take follows every field, and starting it leads to its page.

import { commandFor } from "/assets/calibrations/command.js";
import { ratesOf, showEstimate } from "/assets/calibrations/estimate.js";
import { STEP_OCTAVES, Unreadable, bareOf, bodyOf, pastedOf, problemsOf, stateOf } from "/assets/calibrations/specification.js";
import { fromAddress, intoAddress } from "/assets/shared/address.js";
import { copy } from "/assets/shared/copying.js";
import { byId, make, tell } from "/assets/shared/elements.js";
import { fieldsOf } from "/assets/shared/fields.js";
import { live, outcomeOf } from "/assets/shared/live.js";
import { morph } from "/assets/shared/morph.js";
import { number } from "/assets/shared/numbers.js";
import { begin, refresh } from "/assets/shared/page.js";
import { Refused, ask, posted } from "/assets/shared/service.js";

const TYPING_MS = 250; // a pause in typing before the estimate is asked for
const RESTING_MS = 300; // before the address is written (chosen): browsers refuse one that changes with every key
const WORKERS_MS = 15_000; // between readings of the workers (chosen): a worker that dies is noticed after a minute
const ESTIMATES = "/v1/calibrations/estimates";

const form = byId("calibration");
const fields = fieldsOf(form);
let answered = null; // the last estimate, whose specification has the defaults
let submission = null; // what is being started, with its key: a repetition of the same starts nothing more
let resting = 0;

export const isOpen = () => !byId("new").hidden;

/** The form's words for a member of a specification, such as “muP”. */
export function wordFor(name, value) {
  return [...form.elements[name].options].find((option) => option.value === value)?.textContent ?? value;
}

const body = () => bodyOf(fields, fields.values());

// what it will take -----------------------------------------------------------

const askEstimate = live(async (signal) => {
  byId("estimate").setAttribute("aria-busy", "true");
  return [await outcomeOf(() => ask(ESTIMATES, posted(body(), signal)), [Refused, Unreadable])];
}, ([{ value, error }]) => {
  byId("estimate").setAttribute("aria-busy", "false");
  if (error?.status === 401) return; // the page asks for a key
  const problems = error ? problemsOf(error, fields, fields.values()) : [];
  fields.markProblems(problems);
  byId("estimate").classList.toggle("void", Boolean(error));
  const where = problems.filter(({ field }) => field !== null);
  const general = problems.filter(({ field }) => field === null).map(({ message }) => message);
  const listed = [...new Set(where.map(({ field }) => fields.labelOf(field)))].join(", ");
  tell("estimate-error", [...general, listed && `See ${listed}.`].filter(Boolean).join(" "));
  if (error && !answered) readDefaults();
  if (error) return;
  answered = value;
  showEstimate(value);
  showDefaults(value.spec);
});

/** Read what the service takes for open fields, while what the form holds has no estimate. */
async function readDefaults() {
  morph(byId("estimate"), [make("p", { class: "hint" }, "No estimate, since the service would not take this.")]);
  const { begins } = fields;
  const bare = { parameterization: begins.parameterization, optimizer: begins.optimizer, widths: [64, 128], proxy: { architecture: form.elements.architecture.value } };
  const { value } = await outcomeOf(() => ask(ESTIMATES, posted(bare)), [Refused]);
  if (value && !answered) showDefaults({ ...value.spec, learning_rates: [] });
}

/** What the service takes for the fields that are left open. */
function showDefaults(spec) {
  const rates = spec.learning_rates;
  const defaults = {
    seeds: spec.seeds, steps: spec.steps, mesh: spec.mesh, epsilon: spec.epsilon, horizons: spec.horizons.join(", "), ...spec.proxy,
    ...(rates.length > 0 && { rate_from: number(rates[0], 3), rate_to: number(rates.at(-1), 3), rate_step: STEP_OCTAVES }),
  };
  for (const [name, value] of Object.entries(defaults)) {
    const control = form.elements[name];
    if (control instanceof HTMLInputElement && control.value === "") control.placeholder = String(value);
  }
  tell("rates-told", rates.length > 0 ? ratesOf(spec) : "");
}

function showSpecification() {
  let asked = null;
  try {
    asked = body();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error; // the field says so
  }
  byId("command").textContent = asked ? commandFor(asked) : "";
  byId("specification").textContent = asked ? JSON.stringify(asked, null, 2) : "";
}

function changed(pauseMs) {
  fields.show(fields.values());
  showSpecification();
  showWaiting();
  tell("start-error", "");
  askEstimate(pauseMs);
  clearTimeout(resting);
  resting = setTimeout(() => { if (isOpen() && intoAddress({ new: "1" })) fields.writeAddress(); }, RESTING_MS);
}

let isWaiting = false; // whether no worker is alive to begin it

function showWaiting() {
  byId("no-worker").hidden = !isWaiting || form.elements.runner.value === "external";
}

async function showWorkers() {
  if (!isOpen()) return;
  const { items } = await ask("/v1/workers");
  isWaiting = !items.some(({ state }) => state === "idle" || state === "running");
  showWaiting();
}

// open, close, fill -----------------------------------------------------------

export function openForm(isFocused) {
  byId("new").hidden = false;
  byId("open-form").setAttribute("aria-expanded", "true");
  changed(0);
  readWorkers();
  if (isFocused) byId("new").focus();
}

function closeForm() {
  clearTimeout(resting);
  byId("new").hidden = true;
  byId("open-form").setAttribute("aria-expanded", "false");
  fields.clearAddress();
  intoAddress({ new: null });
  byId("open-form").focus();
}

/** Fill the form from a specification: what is as the service would fill it in stays open. */
async function fillFrom(spec, told) {
  const defaults = (await outcomeOf(() => ask(ESTIMATES, posted(bareOf(spec))), [Refused])).value?.spec; // none: all is filled in
  const state = stateOf(spec, defaults, fields.begins);
  for (const name of fields.named()) fields.put(name, state[name] ?? "");
  const isMore = ["early_stopping", "mesh", "form", "readout_omega", "learning_rate_rule", "epsilon", "epsilon_rule", "others"].some((name) => state[name] !== fields.begins[name]);
  if (isMore) byId("more").open = true;
  openForm(false);
  tell("filled", told);
}

async function fillFromCalibration(id) {
  tell("fill-error", "");
  openForm(true);
  try {
    const found = await ask(`/v1/calibrations/${encodeURIComponent(id)}`);
    await fillFrom(found.spec, `The form holds the specification of ${found.name || found.id}; what it leaves open is as this service fills it in.`);
    intoAddress({ from: null }); // from here on the address holds the fields
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status !== 401) tell("fill-error", `The template can’t be read: ${error.message}`);
  }
}

/** Read the address: a template, or fields. */
function readAddress() {
  const id = fromAddress("from");
  if (id) return fillFromCalibration(id);
  fields.readAddress();
  if (fromAddress("new")) openForm(false);
  return undefined;
}

// start -----------------------------------------------------------------------

/** A key of its own; crypto.randomUUID is not there on plain http. */
const freshKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function start() {
  tell("start-error", "");
  let text;
  try {
    const asked = body();
    text = JSON.stringify(asked);
    if (submission?.text !== text) submission = { text, key: freshKey() };
    byId("start").setAttribute("aria-busy", "true");
    const options = posted(asked);
    const made = await ask("/v1/calibrations", { ...options, headers: { ...options.headers, "Idempotency-Key": submission.key } });
    location.assign(`/calibrations/${made.id}`);
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Unreadable)) throw error;
    const problems = problemsOf(error, fields, fields.values());
    const first = fields.markProblems(problems);
    tell("start-error", problems.map(({ message }) => message).join(" "));
    first?.focus();
  } finally {
    byId("start").removeAttribute("aria-busy");
  }
}

async function copied(text, what) {
  try {
    if (text === "") throw new Error("There is none while a field can’t be read.");
    await copy(text);
    tell("copied", `${what} is copied.`);
  } catch (error) {
    tell("copied", `${what} is not copied. ${error.message}`);
  }
}

// what a reader does ----------------------------------------------------------

form.addEventListener("input", ({ target }) => { if (target.name) changed(TYPING_MS); });
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (byId("start").getAttribute("aria-busy") !== "true") start();
});
form.addEventListener("reset", (event) => {
  event.preventDefault();
  fields.reset();
  tell("filled", "");
  changed(0);
});
byId("open-form").addEventListener("click", () => openForm(true));
byId("close-form").addEventListener("click", closeForm);
byId("copy-command").addEventListener("click", () => copied(byId("command").textContent, "The command"));
byId("copy-specification").addEventListener("click", () => copied(byId("specification").textContent, "The JSON"));
byId("copy-link").addEventListener("click", () => {
  if (fields.writeAddress()) copied(location.toString(), "The link");
  else tell("copied", "The note or the JSON is too long for a link; copy the specification instead.");
});
byId("fill").addEventListener("click", async () => {
  tell("fill-error", "");
  tell("filled", "");
  try {
    await fillFrom(pastedOf(byId("pasted").value), "The form holds what was pasted.");
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    tell("fill-error", error.message);
  }
});
window.addEventListener("hashchange", readAddress);
window.addEventListener("pageshow", (event) => { if (event.persisted) submission = null; }); // who comes back and starts it again means another

const readWorkers = refresh(WORKERS_MS, showWorkers);
begin(readAddress);
