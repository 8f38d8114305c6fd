// The figure of a plan to print or to plot again: drawn by the service, in each format.

import { byId, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { posted, send } from "/assets/shared/service.js";
import { save } from "/assets/shared/saving.js";

const FORMATS = ["svg", "pdf", "png", "csv"];

let shown = [];
let isDrawing = false;

/** Offer the figure of each plan that is shown. plans: { title, body }. */
export function offerFigures(plans) {
  shown = plans;
  morph(byId("figures"), plans.map(({ title }, index) => make("span", { role: "group", "aria-label": `Download the figure${title ? ` of ${title}` : ""}`, "data-key": index },
    title ? make("small", {}, title) : null,
    ...FORMATS.map((format) => make("button", { type: "button", class: "plain small", "data-format": format, "data-plan": index }, format.toUpperCase())))));
}

byId("figures").addEventListener("click", async ({ target }) => {
  const { format, plan } = target.dataset;
  if (!format || isDrawing) return;
  tell("figure-error", "");
  isDrawing = true;
  target.setAttribute("aria-busy", "true");
  try {
    const answer = await send(`/v1/transfers/plot.${format}`, posted(shown[plan].body));
    save(await answer.blob(), shown.length > 1 ? `plan-${Number(plan) + 1}.${format}` : `plan.${format}`);
  } catch (error) {
    tell("figure-error", error.message);
  } finally {
    isDrawing = false;
    target.removeAttribute("aria-busy");
  }
});
