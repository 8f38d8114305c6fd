// The calculator's fields: which of them apply, their lists and their sliders.

import { byId, make } from "/assets/shared/elements.js";
import { fieldsOf } from "/assets/shared/fields.js";

export const form = byId("transfer");

/** By what a rule is about: the list that chooses it. */
export const RULES = {
  depth: "depth_rule", batch: "batch_rule", tokens: "tokens_rule", weight_decay: "decay_rule", schedule: "schedule_rule", experts: "experts_rule", rank: "rank_rule",
};

/** A cell of the table by role has no room for a text. */
const fields = fieldsOf(form, (control, place) => (control.closest(".by-role .line") ?? control).after(place));
export const { begins, values, put, readAddress, writeAddress, labelOf, markProblems } = fields;

/** The tuned values that may differ by role, and the roles: a field such as learning_rate_hidden holds one. */
export const VALUES = ["learning_rate", "epsilon", "weight_decay", "init_std"];
export const BY_ROLE = [...VALUES, "gamma"]; // γ has no value that all roles share
export const ROLES = fields.named().map((name) => /^learning_rate_(\w+)$/.exec(name)?.[1]).filter(Boolean);

/** Replace the choices of a list, each [value, label, attributes]; what is chosen stays chosen. */
export function offer(name, choices) {
  const control = form.elements[name];
  const chosen = control.value;
  control.replaceChildren(...choices.map(([value, label, attributes = {}]) => make("option", { value, ...attributes }, label)));
  put(name, chosen); // a choice that is not among them stays, as that of a link whose list is still to come
}

/** What rules, and an optimizer that cuts matrices into blocks, need to know beyond the width. A model tells some of it. */
function needed(state) {
  const chosen = [...Object.values(RULES), "optimizer"].map((name) => form.elements[name].selectedOptions[0]);
  const needs = new Set(chosen.flatMap((option) => (option?.dataset.needs || "").split(" ")));
  if (state.published_laws) for (const size of ["batch_tokens", "tokens", "parameters"]) needs.add(size); // what the laws take
  return {
    ...Object.fromEntries(["steps", "experts", "shared_experts", "rank", "block_size"].map((name) => [name, needs.has(name)])),
    depth: state.model === "architecture" || (state.model === "roles" && needs.has("depth")),
    batch: needs.has("batch_tokens"), tokens: needs.has("tokens"),
    parameters: state.model === "roles" && needs.has("parameters"),
  };
}

/** Which fields apply to a state: a function of a condition such as “model=files”, “model!=files” or “depth”. */
export function applies(state) {
  const needs = needed(state);
  return (condition) => {
    const [, name, not, word] = /^(\w+?)(?:(!?)=(\w+))?$/.exec(condition);
    if (word !== undefined) return (state[name] === word) !== Boolean(not);
    return needs[name] ?? Boolean(state[name]);
  };
}

/** Show the fields that apply, what each chosen rule says, and where the sliders stand. */
export function showFields(state) {
  const holds = applies(state);
  for (const box of document.querySelectorAll("[data-when]")) box.hidden = !holds(box.dataset.when);
  for (const name of Object.values(RULES)) {
    const control = form.elements[name];
    fields.note(control, "formula", control.selectedOptions[0]?.title || "");
  }
  for (const name of VALUES) for (const role of ROLES) form.elements[`${name}_${role}`].placeholder = state[name];
  for (const slider of document.querySelectorAll("input[type=range]")) place(slider);
}

// sliders ---------------------------------------------------------------------

/** The stops of a slider: a few for each octave, rounded to a multiple. */
function stops(name, text) {
  const [low, high, perOctave, multiple] = text.split(" ").map(Number);
  const head = Number(form.elements.head_dim.value);
  const round = name === "target_width" && form.elements.model.value === "architecture" && head >= 1 ? Math.round(head) : multiple;
  const last = Math.round(Math.log2(high / low) * perOctave);
  const all = Array.from({ length: last + 1 }, (_, index) => Math.max(round, Math.round((low * 2 ** (index / perOctave)) / round) * round));
  return [...new Set(all)];
}

function place(slider) {
  const control = form.elements[slider.dataset.of];
  const all = stops(control.name, control.dataset.slider);
  const value = Number(control.value);
  const far = (stop) => Math.abs(Math.log2(stop / value));
  const nearest = value > 0 ? all.reduce((best, stop, index) => (far(stop) < far(all[best]) ? index : best), 0) : 0;
  slider.max = all.length - 1;
  if (Number(slider.value) !== nearest) slider.value = nearest;
  slider.setAttribute("aria-valuetext", control.value);
}

function addSlider(control) {
  const label = control.closest("label");
  const slider = make("input", { type: "range", min: 0, step: 1, "data-of": control.name, "aria-label": `${labelOf(control.name)}, slider` });
  const box = make("div", { class: "slider", "data-when": label.dataset.when });
  delete label.dataset.when;
  label.hidden = false;
  label.replaceWith(box);
  box.append(label, slider);
  slider.addEventListener("input", () => {
    control.value = stops(control.name, control.dataset.slider)[slider.value];
    control.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

for (const control of document.querySelectorAll("[data-slider]")) addSlider(control);
