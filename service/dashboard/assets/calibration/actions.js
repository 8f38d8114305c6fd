// What can be done with a calibration: cancel, retry, fit, delete, and the links that take it elsewhere.

import { alignmentFields } from "/assets/shared/alignment.js";
import { byId, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { ask, send } from "/assets/shared/service.js";
import { hasEnded } from "/assets/shared/states.js";
import { plural, refusal } from "/assets/shared/words.js";

const IDENTIFIER = /cal_[0-9a-f]+/g;
let item = null; // as it was read last

/** Show which actions apply. */
export function showActions(found) {
  item = found;
  const { spec } = item;
  const isUsable = item.state === "succeeded" && item.result.exponents.length > 0;
  const setting = new URLSearchParams({ exponents: item.id, parameterization: spec.parameterization, optimizer: spec.optimizer, ...alignmentFields(spec.alignment, spec.readout_omega) });
  byId("use").hidden = !isUsable;
  byId("use").setAttribute("href", `/#${setting}`);
  byId("template").setAttribute("href", `/calibrations#from=${item.id}`);
  byId("retry").hidden = item.state !== "failed";
  byId("finish").hidden = item.runner !== "external" || hasEnded(item);
  byId("extend").hidden = item.state !== "succeeded";
  byId("cancel").hidden = hasEnded(item) || item.cancel_requested;
}

/** Do something that a button asks for, once at a time. A disabled button loses the focus, which is given back. */
export async function whileBusy(button, action) {
  const had = document.activeElement === button;
  button.disabled = true;
  try {
    await action();
  } finally {
    button.disabled = false;
    const isLost = [document.body, button.closest("dialog")].includes(document.activeElement);
    if (had && isLost) (button.hidden ? byId("name") : button).focus({ preventScroll: true });
  }
}

let act = null; // what happens once the reader is sure

/** Ask before something is lost. yes: the button's text, or null if it can't be done now. */
function askFirst({ heading, text, yes, action }) {
  byId("sure-heading").textContent = heading;
  byId("sure-text").textContent = text;
  tell("sure-error", "");
  byId("sure-links").replaceChildren();
  byId("sure-yes").hidden = yes === null;
  byId("sure-yes").className = "grave";
  byId("sure-yes").textContent = yes;
  act = action;
  byId("sure").showModal();
  byId("sure-no").focus();
}

async function sure() {
  try {
    await act();
    byId("sure").close();
  } catch (error) {
    tell("sure-error", refusal(error));
    const others = [...new Set(error.message.match(IDENTIFIER) ?? [])].filter((id) => id !== item.id);
    morph(byId("sure-links"), others.flatMap((id) => [make("a", { "data-key": id, href: `/calibrations/${id}` }, id), document.createTextNode(" ")]));
  }
}

async function atOnce(path, told, changed) {
  tell("action-error", "");
  try {
    changed(await ask(`/v1/calibrations/${item.id}/${path}`, { method: "POST" }));
    byId("action-told").textContent = told;
  } catch (error) {
    tell("action-error", refusal(error));
  }
}

/** Let a reader act. changed: is called with the calibration as it is after an action. */
export function offerActions(changed) {
  byId("retry").addEventListener("click", ({ currentTarget }) => whileBusy(currentTarget, () => atOnce("retry", "Its failed shards are queued again.", changed)));
  byId("finish").addEventListener("click", ({ currentTarget }) => whileBusy(currentTarget, () => atOnce("finish", "Its trials are fitted.", changed)));
  byId("cancel").addEventListener("click", () => askFirst({
    heading: "Cancel this calibration?",
    text: `It ends without a fit and can't go on. ${plural(item.progress.trials_done, "trial")} that it has run stay; to run the rest, submit it again from its template.`,
    yes: "Cancel the calibration",
    action: async () => changed(await ask(`/v1/calibrations/${item.id}/cancel`, { method: "POST" })),
  }));
  byId("delete").addEventListener("click", () => {
    const isActive = !hasEnded(item);
    askFirst({
      heading: isActive ? "It can't be deleted yet" : "Delete this calibration?",
      text: isActive
        ? `It is ${item.state}. Cancel it first, and delete it once it has ended.`
        : "Its trials, measurements, exponents and events go with it, for good. A transfer that names it will no longer find it.",
      yes: isActive ? null : "Delete it for good",
      action: async () => {
        await send(`/v1/calibrations/${item.id}`, { method: "DELETE" });
        location.assign("/calibrations");
      },
    });
  });
  byId("sure-no").addEventListener("click", () => byId("sure").close());
  byId("sure-yes").addEventListener("click", ({ currentTarget }) => whileBusy(currentTarget, sure));
  byId("sure").addEventListener("close", () => {
    if (document.activeElement === document.body) byId("name").focus({ preventScroll: true }); // what opened it no longer applies
  });
}
