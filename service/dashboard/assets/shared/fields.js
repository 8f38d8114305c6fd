// The fields of a form: what they hold as text, which of them apply, what stands in the address, what is wrong with each.

import { fromAddress, intoAddress } from "/assets/shared/address.js";
import { make } from "/assets/shared/elements.js";
import { note } from "/assets/shared/notes.js";

const offered = (control, value) => [...control.options].some((option) => option.value === value);

/** Whether a condition holds of a state: “search=grid”, “search!=grid”, “measure~gamma|horizon” (one of several) or “name”. */
export function holds(condition, state) {
  const [, name, sign, words] = /^(\w+?)(?:(=|!=|~)([\w|]+))?$/.exec(condition);
  if (sign === undefined) return Boolean(state[name]);
  const isOne = state[name].split(" ").some((word) => words.split("|").includes(word));
  return isOne !== (sign === "!=");
}

function under(control, place) {
  if (control.type === "radio") control.closest(".segments").after(place);
  else if (control.type === "checkbox") control.parentNode.after(place);
  else control.parentNode.append(place);
}

/**
 * What a page does with the fields of a form. What stands in the page's source is what a new form holds. attach: puts a place
 * for a text next to a field.
 */
export function fieldsOf(form, attach = under) {
  const named = () => [...new Set([...form.elements].map((control) => control.name).filter(Boolean))];
  const controls = (name) => [...form.elements].filter((control) => control.name === name);
  const fields = { form, named, values, begins: {}, put, reset, readAddress, writeAddress, clearAddress, labelOf, applies, show, note: noteAt, markProblems };

  function held(name) {
    const all = controls(name);
    if (!["radio", "checkbox"].includes(all[0].type)) return all[0].value.trim();
    return all.filter((control) => control.checked).map((control) => control.value).join(" ");
  }

  /** What the fields hold, as text, by name; of ticked words, all of them with spaces between. */
  function values() {
    return Object.fromEntries(named().map((name) => [name, held(name)]));
  }
  fields.begins = values();

  /** Put a value into a field, if need be as a choice that its list has not. */
  function put(name, value) {
    const all = controls(name);
    if (["radio", "checkbox"].includes(all[0].type)) {
      for (const control of all) control.checked = value.split(" ").includes(control.value);
      return;
    }
    if (all[0].nodeName === "SELECT" && value && !offered(all[0], value)) all[0].append(make("option", { value }, value));
    all[0].value = value;
  }

  function reset() {
    for (const name of named()) put(name, fields.begins[name]);
  }

  /** Put what the address holds into the fields; what it does not name is as in the source. */
  function readAddress() {
    for (const name of named()) put(name, fromAddress(name) ?? fields.begins[name]);
  }

  /** Write what differs from the source into the address; false if it would be too long. */
  function writeAddress() {
    const now = values();
    return intoAddress(Object.fromEntries(named().map((name) => [name, now[name] === fields.begins[name] ? null : now[name]])));
  }

  function clearAddress() {
    intoAddress(Object.fromEntries(named().map((name) => [name, null])));
  }

  /** What the page calls a field. */
  function labelOf(name) {
    const control = controls(name)[0];
    return control?.closest("label")?.firstChild.textContent.trim() || name;
  }

  /** Whether a field counts in a state. */
  function applies(name, state) {
    for (let box = controls(name)[0].closest("[data-when]"); box; box = box.parentNode.closest("[data-when]")) {
      if (!holds(box.dataset.when, state)) return false;
    }
    return true;
  }

  /** Show the fields that count, and what the chosen words mean. */
  function show(state) {
    for (const box of form.querySelectorAll("[data-when]")) box.hidden = !holds(box.dataset.when, state);
    for (const control of form.querySelectorAll("select")) noteAt(control, "formula", control.selectedOptions[0]?.title || "");
  }

  function noteAt(control, kind, text) {
    note(control, kind, text, (place) => attach(control, place));
  }

  /** Mark the fields that problems name, each { field, message }, and no others. Returns the first that is marked. */
  function markProblems(problems) {
    let first = null;
    for (const name of named()) {
      const control = controls(name).at(-1); // of several words the last, below all of them
      const found = problems.filter((problem) => problem.field === name);
      noteAt(control, "problem", found.map((problem) => problem.message).join(" "));
      if (found.length === 0) {
        control.removeAttribute("aria-invalid");
        continue;
      }
      control.setAttribute("aria-invalid", "true");
      for (let box = control.closest("details"); box; box = box.parentNode.closest("details")) box.open = true;
      first ??= control;
    }
    return first;
  }

  // a label holds notes and links too, none of which is a part of its field's name
  for (const control of form.elements) if (control.name && !["radio", "checkbox"].includes(control.type)) control.setAttribute("aria-label", labelOf(control.name));
  return fields;
}
