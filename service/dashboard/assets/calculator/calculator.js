// The calculator: what the fields hold goes to the service as it changes, and what it answers is shown.

import { fromAddress, intoAddress } from "/assets/shared/address.js";
import { showCurves } from "/assets/calculator/curves.js";
import { byId, make, tell, warningNodes } from "/assets/shared/elements.js";
import { explain } from "/assets/calculator/explanation.js";
import { begins, form, markProblems, put, readAddress, showFields, values, writeAddress } from "/assets/calculator/fields.js";
import { offerFigures } from "/assets/calculator/figures.js";
import { find, showLayers } from "/assets/calculator/layers.js";
import { live, outcomeOf } from "/assets/shared/live.js";
import { textOf } from "/assets/calculator/models.js";
import { morph } from "/assets/shared/morph.js";
import { number } from "/assets/shared/numbers.js";
import { begin, refresh } from "/assets/shared/page.js";
import { Unreadable } from "/assets/calculator/reading.js";
import { bodyOf, problemsOf } from "/assets/calculator/request.js";
import { Refused, UNREACHABLE, ask, posted } from "/assets/shared/service.js";
import { offerSources, readSources, sourceOf } from "/assets/calculator/sources.js";
import { readForms, showForm } from "/assets/calculator/taking.js";

const TYPING_MS = 200; // a pause in typing before the plan is requested
const DRAGGING_MS = 120; // for each plan, while a slider moves (chosen): under a key's limit of 600 requests a minute
const SOURCES_MS = 15_000; // between readings of the calibrations and sweeps that are offered (chosen): one rarely ends
const RESTING_MS = 300; // before the address is written (chosen): browsers refuse one that changes with every move

let state = null; // what the fields held when the plans were asked for
let shown = []; // the plans on the page: { side, title, plan, body }
let isVoid = true; // whether the fields ask for something else than what is shown
let opened = null; // the number that is open: row, quantity and side
let resting = 0;
let isGone = false; // whether the service does not answer
let readAgain = () => {};

const word = (name) => form.elements[name].selectedOptions[0]?.textContent ?? "";

/** What tells the two plans apart, in a word or two. */
function titles() {
  if (!state.compare_parameterization) return [""];
  const both = [[word("parameterization"), word("compare_parameterization")]];
  for (const name of ["optimizer", "alignment"]) if (state[`compare_${name}`]) both.push([word(name), word(`compare_${name}`)]);
  const [one, other] = [0, 1].map((index) => both.filter((pair, at) => at === 0 || pair[0] !== pair[1]).map((pair) => pair[index]).join(", "));
  return [one, one === other ? `${other}, compared` : other]; // they may differ in the numbers of an alignment alone
}

async function plans(signal) {
  state = values();
  const sides = state.compare_parameterization ? [false, true] : [false];
  byId("answer").setAttribute("aria-busy", "true");
  return Promise.all(sides.map((compared) => outcomeOf(async () => {
    const body = bodyOf(state, compared);
    return { body, plan: await ask("/v1/transfers", posted(body, signal)) };
  }, [Refused, Unreadable])));
}

function showOutcome(outcomes) {
  byId("answer").setAttribute("aria-busy", "false");
  if (outcomes.some(({ error }) => error?.status === 401)) return; // the page asks for a key
  byId("answer").classList.remove("awaited"); // its room is taken
  readForms(() => (isVoid ? null : shown[0].body)).catch(() => {}); // after what the page is for
  const wasGone = isGone;
  isGone = outcomes.some(({ error }) => error?.status === UNREACHABLE);
  if (isGone !== wasGone) readAgain(); // the page's status says so at once, and not when it reads next
  const problems = outcomes.flatMap(({ error }, index) => (error ? problemsOf(error, state, index > 0) : []));
  markProblems(problems);
  isVoid = Boolean(outcomes[0].error);
  byId("answer").classList.toggle("void", isVoid);
  const above = [...new Set(problems.map((problem) => problem.message))].join(" ");
  tell("transfer-error", above && isVoid && shown.length > 0 ? `${above} The grey numbers answer what the fields held before.` : above);
  if (isVoid) return;
  byId("answer-hint").hidden = false;
  const names = titles();
  const isFirst = shown.length === 0;
  shown = outcomes.map(({ value }, index) => ({ side: index > 0 ? "second" : "first", title: names[index], ...value })).filter(({ plan }) => plan);
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
  showCurves(shown, ...(plan.provenance.widths ?? []));
  offerFigures(shown);
  showWhole(plan);
  const { exponents, weight_decay_mode: mode } = plan.provenance;
  tell("provenance", `${sourceOf(exponents)} × means target ÷ base. Weight decay is ${mode}. ${more}`);
  const hidden = plan.layers.find((layer) => layer.role === "hidden")?.learning_rate;
  if (hidden) tell("told", `Learning rate of hidden matrices: ${number(hidden.value)}.`);
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
  offerSources();
  askPlans(pauseMs, steadily);
  clearTimeout(resting);
  resting = setTimeout(() => {
    if (!writeAddress()) tell("export-told", "The files are too long for a link: the address does not hold them.");
  }, RESTING_MS);
}

/** Open what is folded away and holds something. */
function unfold(now) {
  for (const box of form.querySelectorAll("details")) {
    if ([...box.querySelectorAll("[name]")].some(({ name }) => now[name] !== begins[name])) box.open = true;
  }
}

/** Ask for the plan of what the fields hold now. */
function calculate() {
  changed(0);
}

// what a reader does ----------------------------------------------------------

const onInput = (event) => {
  if (event.target.type === "file" || event.target.name === "export") return;
  if (event.target.type === "range") return; // it tells its field, which tells us
  const drags = !event.isTrusted && event.target.dataset.slider !== undefined;
  changed(drags ? DRAGGING_MS * (form.elements.compare_parameterization.value ? 2 : 1) : TYPING_MS, drags);
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
  unfold(values());
  opened = fromAddress("open");
  showForm();
  changed(0);
});

// Before it had a page of its own, a calibration stood here after the #.
if (fromAddress("calibration")) location.replace(`/calibrations/${encodeURIComponent(fromAddress("calibration"))}`);
else {
  readAddress();
  unfold(values());
  opened = fromAddress("open");
  begin(calculate);
  readAgain = refresh(SOURCES_MS, readSources);
}
