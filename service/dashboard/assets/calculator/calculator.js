// The calculator: what the fields hold goes to the service as it changes, and what it answers is shown.

import { fromAddress, intoAddress } from "/assets/shared/address.js";
import { showCurves } from "/assets/calculator/curves.js";
import { byId, make, tell, warningNodes } from "/assets/shared/elements.js";
import { explain } from "/assets/calculator/explanation.js";
import { form, labelOf, markProblems, offer, put, readAddress, showFields, values, writeAddress } from "/assets/calculator/fields.js";
import { find, showLayers } from "/assets/calculator/layers.js";
import { live, outcomeOf } from "/assets/shared/live.js";
import { textOf, widthOf } from "/assets/calculator/models.js";
import { morph } from "/assets/shared/morph.js";
import { number } from "/assets/shared/numbers.js";
import { begin, refresh } from "/assets/shared/page.js";
import { Unreadable, bodyOf, problemsOf } from "/assets/calculator/request.js";
import { Refused, ask, posted } from "/assets/shared/service.js";
import { readForms, showForm } from "/assets/calculator/taking.js";

const TYPING_MS = 200; // a pause in typing before the plan is requested
const DRAGGING_MS = 120; // between requests while a slider moves (chosen): under a key's limit of 600 a minute
const CALIBRATIONS_MS = 15_000; // between readings of the calibrations that are offered (chosen): one rarely ends
const RESTING_MS = 300; // before the address is written (chosen): browsers refuse one that changes with every move

let state = null; // what the fields held when the plans were asked for
let bodies = []; // of the plans that are asked for: one, or two to compare
let shown = []; // the plans on the page: { side, title, plan }
let isVoid = true; // whether the fields ask for something else than what is shown
let opened = null; // the number that is open: row, quantity and side
let calibrations = [];
let resting = 0;

const word = (name) => form.elements[name].selectedOptions[0]?.textContent ?? "";

/** What tells the two plans apart, in a word or two. */
function titles() {
  if (!state.compare_parameterization) return [""];
  const both = [[word("parameterization"), word("compare_parameterization")]];
  for (const name of ["optimizer", "alignment"]) if (state[`compare_${name}`]) both.push([word(name), word(`compare_${name}`)]);
  return [0, 1].map((index) => both.filter(([one, other], at) => at === 0 || one !== other).map((pair) => pair[index]).join(", "));
}

async function plans(signal) {
  state = values();
  const sides = state.compare_parameterization ? [false, true] : [false];
  bodies = [];
  byId("answer").setAttribute("aria-busy", "true");
  return Promise.all(sides.map((compared) => outcomeOf(async () => {
    const body = bodyOf(state, compared);
    bodies.push(body);
    return ask("/v1/transfers", posted(body, signal));
  }, [Refused, Unreadable])));
}

function showOutcome(outcomes) {
  byId("answer").setAttribute("aria-busy", "false");
  if (outcomes.some(({ error }) => error?.status === 401)) return; // the page asks for a key
  const problems = outcomes.flatMap(({ error }, index) => (error ? problemsOf(error, state, index > 0) : []));
  markProblems(problems);
  isVoid = Boolean(outcomes[0].error);
  byId("answer").classList.toggle("void", isVoid);
  const above = [...new Set(problems.map((problem) => problem.message))].join(" ");
  tell("transfer-error", above && isVoid && shown.length > 0 ? `${above} The grey numbers answer what the fields held before.` : above);
  if (isVoid) return;
  const names = titles();
  const isFirst = shown.length === 0;
  shown = outcomes.map(({ value }, index) => ({ side: index > 0 ? "second" : "first", title: names[index], plan: value })).filter(({ plan }) => plan);
  if (shown.length === 1) shown[0].title = "";
  showPlans();
  if (isFirst) revealOpened();
}

/** Scroll the table, and not the page, to the number that the address opens. */
function revealOpened() {
  const box = byId("layers").parentNode;
  const line = box.querySelector("[aria-expanded=true]")?.closest("tr");
  if (line) box.scrollTop = line.offsetTop - box.clientHeight / 2;
}

function showPlans() {
  const [{ plan }] = shown;
  const more = showLayers(shown, opened);
  const found = find(shown, opened);
  explain(found);
  byId("warnings").hidden = found !== null; // they stand within what is open
  morph(byId("warnings"), warningNodes(shown.flatMap((each) => each.plan.warnings).filter((each, index, all) => all.findIndex((other) => other.message === each.message) === index)));
  showCurves(shown, ...widths());
  showWhole(plan);
  const { exponents, weight_decay_mode: mode } = plan.provenance;
  const source = exponents.source === "theory" ? `Exponents from theory: ${exponents.reference}.` : `Learning-rate exponents measured by ${exponents.calibration_id} at widths ${exponents.widths.join(", ")}.`;
  tell("provenance", `${source} × means target ÷ base. Weight decay is ${mode}. ${more}`);
  const hidden = plan.layers.find((layer) => layer.role === "hidden")?.learning_rate;
  if (hidden) tell("told", `Learning rate of hidden matrices: ${number(hidden.value)}.`);
}

/** The widths of both models, as far as the page knows them. */
function widths() {
  const [{ model, base, target }] = bodies;
  return model ? [widthOf(model.base), widthOf(model.target)] : [base.width, target.width];
}

function showWhole(plan) {
  const facts = [...Object.entries(plan.model), ...Object.entries(plan.training)].filter(([, found]) => found);
  const rows = facts.flatMap(([name, { value, multiplier, reason }]) => [
    make("dt", {}, name.replaceAll("_", " ")),
    make("dd", {}, make("strong", {}, [value !== null && number(value), multiplier !== undefined && `×${number(multiplier)}`].filter(Boolean).join(" ") || "changes"), ` ${reason}`),
  ]);
  morph(byId("whole"), rows.length > 0 ? [make("details", {}, make("summary", {}, "For the model and its training as a whole"), make("dl", {}, ...rows))] : []);
}

const askPlans = live(plans, showOutcome);

function changed(pauseMs, steadily = false) {
  const now = values();
  showFields(now);
  if (["depth_rule", "batch_rule", "tokens_rule", "decay_rule"].some((name) => now[name])) byId("beyond").open = true;
  offerCalibrations();
  askPlans(pauseMs, steadily);
  clearTimeout(resting);
  resting = setTimeout(() => {
    if (!writeAddress()) tell("export-told", "The files are too long for a link: the address does not hold them.");
  }, RESTING_MS);
}

/** Ask for the plan of what the fields hold now. */
function calculate() {
  changed(0);
  readForms(() => (isVoid ? null : bodies[0])).catch(() => {}); // the list is read again with a key
}

/** Read the calibrations with usable exponents: those of the fields' setting are offered. */
async function readCalibrations() {
  const { items } = await ask("/v1/calibrations?state=succeeded&limit=200");
  calibrations = items.filter((item) => item.result.exponents.length > 0);
  offerCalibrations();
}

let offers = "";
function offerCalibrations() {
  const now = values();
  const fits = calibrations.filter(({ spec }) => ["parameterization", "optimizer", "alignment"].every((name) => spec[name] === now[name]));
  const others = calibrations.length - fits.length;
  const other = calibrations.find((item) => item.id === now.exponents && !fits.includes(item))?.spec; // of a link, or of before
  const elsewhere = others > 0 ? `${others} more ${others === 1 ? "calibration was" : "calibrations were"} measured in another setting.` : "";
  tell("offered", other ? `The chosen calibration was measured in another setting: ${other.parameterization}, ${other.optimizer}, ${typeof other.alignment === "string" ? other.alignment : "an alignment by role"}.` : elsewhere);
  const choices = [["", "theory"], ...fits.map((item) => [item.id, `${item.spec.proxy.architecture}, ${item.spec.proxy.dataset}, widths ${Math.min(...item.spec.widths)} to ${Math.max(...item.spec.widths)}, ${new Date(item.created_at).toLocaleDateString()}`])];
  const version = JSON.stringify(choices);
  if (version === offers) return; // a list that is rebuilt while it is open closes
  offers = version;
  offer("exponents", choices);
}

// what a reader does ----------------------------------------------------------

for (const control of form.elements) if (control.name && control.type !== "radio") control.setAttribute("aria-label", labelOf(control.name));

const onInput = (event) => {
  if (event.target.type === "file" || event.target.name === "export") return;
  if (event.target.type === "range") return; // it tells its field, which tells us
  const drags = !event.isTrusted && event.target.dataset.slider !== undefined;
  changed(drags ? DRAGGING_MS : TYPING_MS, drags);
};
form.addEventListener("input", onInput);
byId("results").addEventListener("input", onInput);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", (event) => {
  event.preventDefault();
  intoAddress(Object.fromEntries(Object.keys(values()).map((name) => [name, null])));
  readAddress();
  changed(0);
});
form.addEventListener("change", async ({ target }) => {
  if (target.type !== "file" || target.files.length === 0) return;
  try {
    put(target.dataset.into, await textOf(target.files[0]));
    changed(0);
  } catch (error) {
    markProblems([{ field: target.dataset.into, message: error.message }]);
  }
});

function open(id) {
  opened = id;
  intoAddress({ open: id });
  if (shown.length > 0) showPlans();
}
byId("layers").addEventListener("click", ({ target }) => {
  const id = target.closest("[data-open]")?.dataset.open;
  if (id) open(id === opened ? null : id);
});
byId("explanation").addEventListener("click", ({ target }) => {
  if (!target.closest("[data-close]")) return;
  const button = [...byId("layers").querySelectorAll("[data-open]")].find((each) => each.dataset.open === opened);
  open(null);
  button?.focus();
});

window.addEventListener("hashchange", () => { // a link was pasted into the address
  readAddress();
  opened = fromAddress("open");
  showForm();
  changed(0);
});

// Before it had a page of its own, a calibration stood here after the #.
if (fromAddress("calibration")) location.replace(`/calibrations/${encodeURIComponent(fromAddress("calibration"))}`);
else {
  readAddress();
  opened = fromAddress("open");
  begin(calculate);
  refresh(CALIBRATIONS_MS, readCalibrations);
}
