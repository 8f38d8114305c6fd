// What can be done with a calibration: cancel, retry, fit, delete, and the links that take it elsewhere.

import { byId, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { ask, send } from "/assets/shared/service.js";
import { hasEnded } from "/assets/shared/states.js";
import { plural } from "/assets/calibration/words.js";

const IDENTIFIER = /cal_[0-9a-f]+/g;
let item = null; // as it was read last

/** Show which actions apply. */
export function showActions(found) {
  item = found;
  const { spec } = item;
  const isUsable = item.state === "succeeded" && item.result.exponents.length > 0 && typeof spec.alignment === "string";
  const setting = new URLSearchParams({ exponents: item.id, parameterization: spec.parameterization, optimizer: spec.optimizer, alignment: spec.alignment });
  const active = document.activeElement;
  byId("use").hidden = !isUsable;
  byId("use").setAttribute("href", `/#${setting}`);
  byId("template").setAttribute("href", `/calibrations#from=${item.id}`);
  byId("retry").hidden = item.state !== "failed";
  byId("finish").hidden = item.runner !== "external" || hasEnded(item);
  byId("extend").hidden = item.state !== "succeeded";
  byId("cancel").hidden = hasEnded(item) || item.cancel_requested;
  if (active?.hidden && active.closest("#actions")) byId("name").focus({ preventScroll: true }); // rather than the page's top
}

/** What an action's refusal says, with what a reader can do about it. */
export function refusal(error) {
  return error.status === 403 ? `${error.message} Ask the operator for such a key; “Forget the API key” above lets you enter it.` : error.message;
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
  byId("sure-yes").disabled = true;
  try {
    await act();
    byId("sure").close();
  } catch (error) {
    tell("sure-error", refusal(error));
    const others = [...new Set(error.message.match(IDENTIFIER) ?? [])].filter((id) => id !== item.id);
    morph(byId("sure-links"), others.flatMap((id) => [make("a", { "data-key": id, href: `/calibrations/${id}` }, id), document.createTextNode(" ")]));
  } finally {
    byId("sure-yes").disabled = false;
  }
}

async function atOnce(button, path, told, changed) {
  button.disabled = true;
  tell("action-error", "");
  try {
    changed(await ask(`/v1/calibrations/${item.id}/${path}`, { method: "POST" }));
    byId("action-told").textContent = told;
  } catch (error) {
    tell("action-error", refusal(error));
  } finally {
    button.disabled = false;
  }
}

/** Let a reader act. changed: is called with the calibration as it is after an action. */
export function offerActions(changed) {
  byId("retry").addEventListener("click", ({ currentTarget }) => atOnce(currentTarget, "retry", "Its failed shards are queued again.", changed));
  byId("finish").addEventListener("click", ({ currentTarget }) => atOnce(currentTarget, "finish", "Its trials are fitted.", changed));
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
  byId("sure-yes").addEventListener("click", sure);
  byId("sure").addEventListener("close", () => {
    if (document.activeElement === document.body) byId("name").focus({ preventScroll: true }); // what opened it no longer applies
  });
}
