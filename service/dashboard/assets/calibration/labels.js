// The name and the note, edited in their place.

import { byId, tell } from "/assets/shared/elements.js";
import { ask, posted } from "/assets/shared/service.js";
import { refusal } from "/assets/calibration/actions.js";

/** Let a reader edit both. current: returns the calibration as it was read last; shown: is called with what it is then. */
export function editLabels(address, current, shown) {
  for (const [label, form, button, error] of [["name", byId("name-form"), byId("rename"), "name-error"], ["note", byId("note-form"), byId("edit-note"), "note-error"]]) {
    const field = form.elements[label];
    const leave = () => {
      form.hidden = true;
      button.hidden = false;
      button.focus();
    };
    button.addEventListener("click", () => {
      field.value = current()[label] ?? "";
      tell(error, "");
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
        tell(error, refusal(refused));
      }
    });
  }
}
