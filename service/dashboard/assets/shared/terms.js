// Terms of the field: a link from a word to its entry in the guide's glossary, in another tab.
//
// In a form it is the small "?" that the views' HTML has beside a label. It is no stop of the Tab key, which would double
// them all: F1 in the field opens it.

import { make } from "/assets/shared/elements.js";

const GLOSSARY = "/guide/docs/glossary.html";

/** A link to a term such as "weight-decay". With a text the text is the link, else it is a "?" beside one. */
export function termLink(word, text = null) {
  const address = `${GLOSSARY}#${word}`;
  if (text !== null) return make("a", { class: "term said", href: address, target: "guide", rel: "help" }, text);
  return make("a", { class: "term", href: address, target: "guide", rel: "help", "aria-label": `What is ${word.replaceAll("-", " ")}?` }, "?");
}

/** Leave the terms of labels out of the order of Tab. */
for (const link of document.querySelectorAll("label .term")) link.tabIndex = -1;

document.addEventListener("keydown", (event) => {
  const link = event.key === "F1" && event.target.closest("label")?.querySelector(".term");
  if (!link) return;
  event.preventDefault(); // the browser's own help would open
  link.click();
});
