// Texts under a field: what is wrong with it, and what its choice means.

import { byId, make } from "/assets/shared/elements.js";

const KINDS = ["problem", "formula"];

/** Put a text under a field, and tell the field of it; an empty one takes it away. attach: puts a new place for it in. */
export function note(control, kind, text, attach) {
  const id = `${kind}-${control.name}`;
  let place = byId(id);
  if (!place && !text) return;
  if (!place) {
    place = make("span", { id, class: kind });
    attach(place);
  }
  if (place.textContent !== text) place.textContent = text;
  place.hidden = !text;
  const described = KINDS.map((each) => `${each}-${control.name}`).filter((each) => byId(each)?.hidden === false).join(" ");
  if (described) control.setAttribute("aria-describedby", described);
  else control.removeAttribute("aria-describedby");
}
