// The pictures of a calibration, live: loss over learning rate, and the best rate over width with the law that was chosen.

import { byId, make } from "/assets/shared/elements.js";
import { downloads } from "/assets/shared/downloads.js";
import { morph } from "/assets/shared/morph.js";
import { plural } from "/assets/shared/words.js";
import { bestRate, legendOf } from "/assets/calibration/legend.js";
import { LEARNING_RATE, lossPicture } from "/assets/calibration/losses.js";
import { optimaPicture } from "/assets/calibration/optima.js";

const STANDINGS = { measured: "exponent: measured", not_refuted: "exponent: theory's, not refuted", untested: "exponent: theory's, untested" };

const legend = legendOf(() => [losses], bestRate);
const losses = lossPicture({ over: LEARNING_RATE, painted: legend.show });
const optima = optimaPicture();
const radio = (value, word) => make("label", {}, make("input", { type: "radio", name: "rates", value, checked: value === "raw" }), make("span", {}, word));
const rates = make("fieldset", { class: "segments two" }, make("legend", { class: "unseen" }, "Learning rates"), radio("raw", "Raw rate"), radio("scaled", "Scaled rate"));
const left = make("p", { class: "hint", hidden: true });
const scale = make("p", { class: "hint" });
const sentence = make("p", { class: "sentence" });
const standing = make("span", { class: "state", hidden: true });
const trouble = make("p", { class: "error", role: "alert", hidden: true });

let item = null;
let fit = null;

function begin() {
  const address = item.links.self;
  byId("losses").querySelector("figcaption").append(rates);
  byId("losses").append(scale, legend.widths, losses.box, legend.key, make("div", {}, left), downloads(`${address}/plot`, () => `${item.id}-plot`, "loss over learning rate"));
  byId("optima-over-width").append(
    sentence, make("div", {}, standing), ...optima.nodes, make("div", {}, trouble),
    downloads(`${address}/widths`, () => `${item.id}-widths`, "the best learning rate over width"),
  );
  losses.plan(item.spec.widths, item.spec.learning_rates);
  optima.plan(item.spec.widths);
}

/** Show a calibration as it was just read. others: how many of its runs are drawn in a panel instead, { gamma, horizon }. */
export function showPictures(found, others) {
  const isFirst = item === null;
  item = found;
  if (isFirst) begin();
  showElsewhere(others);
  showScale();
}

/** Runs of the plain sweep that are new or have another outcome. */
export function showRuns(runs) {
  losses.add(runs);
}

/** A new fit, if there is one, and why there is no newer one. */
export function showFitInPictures(found, wrong) {
  say(trouble, wrong);
  byId("pictures").classList.toggle("stale", wrong !== "");
  if (!found || found === fit) return;
  fit = found;
  losses.fitted(fit);
  optima.fitted(fit);
  say(sentence, `${fit.choice.sentence}.`);
  say(standing, STANDINGS[fit.choice.standing] ?? "");
  showScale();
}

/** Where the runs are that are not of the plain sweep. */
function showElsewhere(others) {
  const parts = [["gamma", "γ", "γ by role"], ["horizon", "horizons", "Horizons"]].filter(([panel]) => others[panel] > 0);
  morph(left, parts.flatMap(([panel, of, heading], index) => [
    `${index ? "; " : "Not here: "}${plural(others[panel], "run")} of ${of}, drawn in `, make("a", { href: `#${panel}-heading`, "data-key": panel }, heading), index === parts.length - 1 ? "." : "",
  ]).map((part) => (typeof part === "string" ? document.createTextNode(part) : part)));
  left.hidden = parts.length === 0;
}

/** What the learning rates of the picture are, and whether they can be scaled. */
function showScale() {
  const law = fit?.choice.law ?? null;
  const [raw, scaled] = rates.querySelectorAll("input");
  scaled.disabled = law === null;
  if (scaled.checked && law === null) {
    raw.checked = true;
    losses.scale(false);
  }
  const one = item.spec.learning_rate_rule === "global";
  const base = one ? "Raw: one learning rate for every tensor." : "Raw: the base rate, which each tensor trains at times what theory prescribes for it; if theory holds, the minima line up.";
  const needs = law === null ? " The scaled rate needs an optimum inside the learning rates of a width." : "";
  say(scale, scaled.checked ? `Scaled: divided by the best rate of the chosen law (${fit.choice.name}) at that width; where the law holds, every minimum is at 1.` : base + needs);
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = !text;
}

rates.addEventListener("change", (event) => { losses.scale(event.target.value === "scaled"); showScale(); });
