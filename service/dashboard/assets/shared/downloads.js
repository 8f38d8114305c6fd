// Downloads of a figure: SVG, PDF and PNG as it is printed, and its numbers as CSV.

import { make } from "/assets/shared/elements.js";
import { save } from "/assets/shared/saving.js";
import { send } from "/assets/shared/service.js";

const SUFFIXES = ["svg", "pdf", "png", "csv"];

/** A row of buttons. address: the figure's, without its suffix; name: returns that of the files, likewise; what: the figure in words. */
export function downloads(address, name, what) {
  const told = make("span", { class: "error", role: "alert" });
  const buttons = SUFFIXES.map((suffix) => {
    const button = make("button", { type: "button", class: "plain", "aria-label": `Download ${what} as ${suffix.toUpperCase()}` }, suffix.toUpperCase());
    button.addEventListener("click", async () => {
      told.textContent = "";
      button.setAttribute("aria-busy", "true"); // not disabled, which would take the focus away
      try {
        save(await (await send(`${address}.${suffix}`)).blob(), `${name()}.${suffix}`);
      } catch (error) {
        told.textContent = error.message;
      } finally {
        button.removeAttribute("aria-busy");
      }
    });
    return button;
  });
  return make("div", { class: "downloads" }, make("span", { class: "hint" }, "Download"), ...buttons, told);
}
