// What people call something and note about it, edited in its place.

import { byId, tell } from "/assets/shared/elements.js";
import { ask, posted } from "/assets/shared/service.js";
import { refusal, sentence } from "/assets/shared/words.js";

/** What is wrong with a label, without the place where it stands, which is this field; or why nothing can be changed. */
function faultOf(label, refused) {
  const fault = (refused.errors ?? []).find(({ pointer }) => pointer === `#/${label}`);
  return fault ? sentence(fault.message) : refusal(refused);
}

/**
 * Let a reader edit labels. openers: of each label, by its name in the API, the id of the button that opens its form;
 * current: returns what has them as it was read last; shown: is called with what it is then.
 */
export function editLabels(address, openers, current, shown) {
  for (const [label, opener] of Object.entries(openers)) edit(address, label, byId(opener), current, shown);
}

function edit(address, label, button, current, shown) {
  const form = byId(`${label}-form`);
  const field = form.elements[label];
  const error = `${label}-error`;
  const mark = (text) => {
    tell(error, text);
    if (text) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  };
  field.setAttribute("aria-describedby", error);
  const leave = () => {
    form.hidden = true;
    button.hidden = false;
    button.focus();
  };
  button.addEventListener("click", () => {
    field.value = current()[label] ?? "";
    mark("");
    form.hidden = false;
    button.hidden = true;
    field.focus();
    field.select();
  });
  form.querySelector("[data-leave]").addEventListener("click", leave);
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") leave(); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      shown(await ask(address, { ...posted({ [label]: field.value.trim() || null }), method: "PATCH" }));
      leave();
    } catch (refused) {
      mark(faultOf(label, refused));
      field.focus();
    }
  });
}
