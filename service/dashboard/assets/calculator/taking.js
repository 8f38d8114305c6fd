// Taking a plan along: copied or downloaded in any form that a trainer reads.

import { copy } from "/assets/shared/copying.js";
import { byId, prose, tell } from "/assets/shared/elements.js";
import { form, offer, writeAddress } from "/assets/calculator/fields.js";
import { morph } from "/assets/shared/morph.js";
import { save } from "/assets/shared/saving.js";
import { ask, posted, send } from "/assets/shared/service.js";

let forms = [];
let bodyOfPlan = () => null; // the body of the transfer that is shown; null while there is none

let asked = null;

/** Read the forms, once; `body` returns the body of the plan to take, or null. */
export async function readForms(body) {
  bodyOfPlan = body;
  if (forms.length > 0 || asked) return;
  asked = ask("/v1/exports").finally(() => { asked = null; });
  forms = (await asked).items;
  offer("export", forms.map((each) => [each.name, each.trainer === "any program" ? each.file_name : `${each.trainer}: ${each.file_name}`]));
  showForm();
}

/** Show how the chosen form is used. */
export function showForm() {
  const chosen = forms.find((each) => each.name === form.elements.export.value);
  const use = chosen ? [chosen.versions && `For ${chosen.trainer} ${chosen.versions}.`, chosen.use].filter(Boolean).join(" ") : "";
  morph(byId("export-use"), prose(use));
  byId("lossy-choice").hidden = true;
  byId("lossy").checked = false;
  tell("export-error", "");
  tell("export-told", "");
}

async function written() {
  const body = bodyOfPlan();
  if (body === null) throw new Error("There is no plan to write: the numbers above are not those of the form.");
  const query = new URLSearchParams({ export: form.elements.export.value, allow_lossy: byId("lossy").checked });
  const answer = await send(`/v1/transfers?${query}`, posted(body));
  return { text: await answer.text(), lost: answer.headers.get("Widthwise-Not-Expressed"), type: answer.headers.get("Content-Type") };
}

async function take(action) {
  tell("export-error", "");
  tell("export-told", "");
  try {
    const file = await written();
    const done = await action(file);
    tell("export-told", file.lost ? `${done} It leaves out: ${file.lost}.` : done);
  } catch (error) {
    tell("export-error", error.message);
    if (error.status === 422 && error.message.includes("lossy")) byId("lossy-choice").hidden = false;
  }
}

const fileName = () => forms.find((each) => each.name === form.elements.export.value).file_name;

byId("copy").addEventListener("click", () => take(async ({ text }) => {
  await copy(text);
  return `${fileName()} is copied.`;
}));
byId("download").addEventListener("click", () => take(({ text, type }) => {
  save(new Blob([text], { type }), fileName());
  return `${fileName()} is downloaded.`;
}));
byId("copy-link").addEventListener("click", async () => {
  writeAddress(); // it is written when the fields have come to rest
  try {
    await copy(location.toString());
    tell("export-told", "The link is copied; it opens this page as it stands.");
  } catch (error) {
    tell("export-error", error.message);
  }
});
form.elements.export.addEventListener("change", showForm);
