// The form that extends a calibration: further widths, more seeds, a finer mesh, and what they would take.

import { byId, make, tell } from "/assets/shared/elements.js";
import { live, outcomeOf } from "/assets/shared/live.js";
import { number } from "/assets/shared/numbers.js";
import { Refused, ask, posted } from "/assets/shared/service.js";
import { whileBusy } from "/assets/calibration/actions.js";
import { expected, nameOf } from "/assets/calibration/head.js";
import { plural, refusal, sentence } from "/assets/shared/words.js";

const FINEST = 1 / 16; // octaves: the service takes no finer mesh
const TYPING_MS = 250; // a pause in typing before the estimate is asked for
const FIELDS = ["widths", "seeds", "mesh", "precision", "budget", "name"];
const form = byId("extension");

let item = null;

function open(found) {
  item = found;
  const { spec } = item;
  form.reset();
  form.elements.seeds.value = spec.seeds;
  form.elements.precision.value = spec.precision ?? "";
  form.elements.budget.value = spec.budget ?? "";
  byId("of-information").hidden = spec.search !== "information";
  const meshes = [spec.mesh, spec.mesh / 2, spec.mesh / 4, spec.mesh / 8].filter((mesh) => mesh >= FINEST);
  form.elements.mesh.replaceChildren(...meshes.map((mesh, index) => make("option", { value: index ? mesh : "" }, index ? number(mesh) : `${number(mesh)}, as it is`)));
  byId("extending-heading").textContent = `Extend ${nameOf(item)}`;
  mark([]);
  tell("extension-cost", "");
  byId("extending").showModal();
  form.elements.widths.focus();
}

/** What the fields ask for beyond what there is; throws what is wrong as [field, message]. */
function wanted() {
  const { spec } = item;
  const text = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()]));
  const numeric = (name, what) => {
    const value = Number(text[name]);
    if (!Number.isFinite(value) || text[name] === "") throw [name, `It must be ${what}, not “${text[name]}”.`];
    return value;
  };
  const more = {};
  if (text.widths) {
    more.widths = text.widths.split(/[\s,;]+/).filter(Boolean).map(Number);
    if (more.widths.some((width) => !Number.isInteger(width))) throw ["widths", `Widths are whole numbers, such as ${2 * spec.widths.at(-1)} ${4 * spec.widths.at(-1)}.`];
  }
  if (numeric("seeds", "a whole number") !== spec.seeds) more.seeds = Number(text.seeds);
  if (text.mesh) more.mesh = Number(text.mesh);
  for (const name of spec.search === "information" ? ["precision", "budget"] : []) {
    if (text[name] && numeric(name, "a number") !== spec[name]) more[name] = Number(text[name]);
  }
  if (Object.keys(more).length === 0) throw [null, "Nothing is added yet: give a width, more seeds or a finer mesh."];
  return text.name ? { ...more, name: text.name } : more;
}

/** Show what is wrong with each field, and what belongs to none above the buttons; found: [field, message]. */
function mark(found) {
  for (const name of FIELDS) {
    const control = form.elements[name];
    const text = found.filter(([field]) => field === name).map(([, message]) => message).join(" ");
    control.parentNode.querySelector(".problem")?.remove();
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-describedby");
    if (!text) continue;
    control.after(make("span", { class: "problem", id: `problem-${name}` }, text));
    control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-describedby", `problem-${name}`);
  }
  tell("extension-error", found.filter(([field]) => !FIELDS.includes(field)).map(([, message]) => message).join(" "));
}

/** Lead to the first field that is wrong. */
function leadTo(found) {
  const first = FIELDS.find((name) => found.some(([field]) => field === name));
  if (first) form.elements[first].focus();
}

function problems(error) {
  const named = (error.errors ?? []).map(({ pointer = "", message }) => [/^#\/(\w+)/.exec(pointer)?.[1] ?? null, sentence(message)]);
  return named.length > 0 ? named : [[null, refusal(error)]];
}

/** What the fields ask for would take, as they change; nothing is said of fields that a reader has not finished. */
async function estimate(signal) {
  let more;
  try {
    more = wanted();
  } catch {
    return [{}];
  }
  return [await outcomeOf(() => ask(`/v1/calibrations/${item.id}/extensions/estimates`, posted(more, signal)), [Refused])];
}

function showEstimate([{ value, error }]) {
  mark(error ? problems(error) : []);
  const isOurs = value && value.spec.runner !== "external";
  tell("extension-cost", isOurs ? `It runs ${expected(value.estimate, true)}; ${plural(value.shared_trials, "trial is", "trials are")} there already.` : "");
}

const askEstimate = live(estimate, showEstimate);

async function submit() {
  mark([]);
  let more;
  try {
    more = wanted();
  } catch (wrong) {
    mark([wrong]);
    leadTo([wrong]);
    return;
  }
  try {
    const made = await ask(`/v1/calibrations/${item.id}/extensions`, posted(more));
    location.assign(`/calibrations/${made.id}`);
  } catch (error) {
    mark(problems(error));
    leadTo(problems(error));
  }
}

/** Let a reader extend. current: returns the calibration as it was read last. */
export function offerExtension(current) {
  byId("extend").addEventListener("click", () => open(current()));
  form.addEventListener("input", () => askEstimate(TYPING_MS));
  byId("extension-no").addEventListener("click", () => byId("extending").close());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    whileBusy(byId("extension-yes"), submit);
  });
}
