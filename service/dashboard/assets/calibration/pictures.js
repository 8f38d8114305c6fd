// The pictures of a calibration, live: loss over learning rate, and the best rate over width with the law that was chosen.

import { byId, fill, make } from "/assets/shared/elements.js";
import { downloads } from "/assets/shared/downloads.js";
import { interval, number } from "/assets/shared/numbers.js";
import { Refused, ask } from "/assets/shared/service.js";
import { hasEnded } from "/assets/shared/states.js";
import { lossPicture } from "/assets/calibration/losses.js";
import { optimaPicture } from "/assets/calibration/optima.js";
import { trialsOf } from "/assets/calibration/trials.js";

const FIT_MS = 3000; // between two fits of a running calibration at least (chosen): one of 5,000 trials takes half a second
const READ_MS = 500; // uploads come in bursts: read once for all of half a second

const STANDINGS = { measured: "exponent: measured", not_refuted: "exponent: theory's, not refuted", untested: "exponent: theory's, untested" };

let shown = null; // everything of the calibration that is shown

function begin(item) {
  const losses = lossPicture();
  const optima = optimaPicture();
  const address = item.links.self;
  const trials = trialsOf(address, (runs) => { shown.changes += 1; losses.add(runs); wantFit(); });
  shown = {
    item, losses, optima, trials, fit: null, fitOf: "", changes: 0, fitting: false, due: 0, timer: 0, reading: 0,
    left: make("p", { class: "hint", hidden: true }), scale: make("p", { class: "hint" }), sentence: make("p", { class: "sentence" }), standing: make("span", { class: "state", hidden: true }),
    trouble: make("p", { class: "error", role: "alert", hidden: true }), runsTrouble: make("p", { class: "error", role: "alert", hidden: true }),
    byWidth: make("table"), laws: make("table"), ahead: make("table"),
  };
  const table = (node, words) => make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": words }, node);
  const radio = (value, word) => make("label", {}, make("input", { type: "radio", name: "rates", value, checked: value === "raw" }), make("span", {}, word));
  const rates = make("fieldset", { class: "segments two" }, make("legend", { class: "unseen" }, "Learning rates"), radio("raw", "Raw rate"), radio("scaled", "Scaled rate"));
  rates.addEventListener("change", (event) => { losses.scale(event.target.value === "scaled"); showScale(); });
  shown.rates = rates;
  byId("losses").querySelector("figcaption").append(rates);
  byId("losses").append(
    shown.scale, ...losses.nodes, make("div", {}, shown.left, shown.runsTrouble),
    downloads(`${address}/plot`, `${item.id}-plot`, "loss over learning rate"),
    make("details", {}, make("summary", {}, "Numbers"), table(shown.byWidth, "Optima by width")),
  );
  byId("optima-over-width").append(
    shown.sentence, make("div", { class: "widths" }, shown.standing), ...optima.nodes, make("div", {}, shown.trouble),
    downloads(`${address}/widths`, `${item.id}-widths`, "the best learning rate over width"),
    make("details", {}, make("summary", {}, "Numbers"), table(shown.laws, "Laws over width"), table(shown.ahead, "Predictions")),
  );
  losses.plan(item.spec.widths, item.spec.learning_rates);
  optima.plan(item.spec.widths);
  showScale();
}

/** Show a calibration as it was just read. */
export function showPictures(item) {
  if (!shown) begin(item);
  shown.item = item;
  if (shown.trials.count() < item.progress.trials_done || shown.runsTrouble.hidden === false || !shown.fit) read();
  wantFit();
}

/** An event of the calibration that is shown. */
export function pictureEvent(kind, data) {
  if (!shown) return;
  if (kind === "trial") shown.trials.take([data]);
  else if (kind === "trials") shown.reading ||= setTimeout(() => { shown.reading = 0; read(); }, READ_MS);
}

async function read() {
  try {
    await shown.trials.readOn(shown.item.progress.trials_done);
    say(shown.runsTrouble, "");
    const others = shown.trials.others();
    say(shown.left, others ? `${others} runs of γ and of horizons are left out here.` : "");
  } catch (error) {
    if (error.status !== 401) say(shown.runsTrouble, `Some runs are missing: ${error.message}`);
  }
}

/** What a fit is of: of a calibration that has ended, the service has all runs before this page does. */
const version = () => `${shown.item.state} ${hasEnded(shown.item) ? "" : shown.changes}`;

/** Ask for the fit of the runs so far: at once after the end, else every few seconds. */
function wantFit() {
  if (shown.timer || shown.fitting || shown.fitOf === version()) return;
  const wait = hasEnded(shown.item) && shown.trouble.hidden ? 0 : Math.max(0, shown.due - performance.now());
  shown.timer = setTimeout(() => { shown.timer = 0; fitNow(); }, wait);
}

async function fitNow() {
  const asked = version();
  let pause = FIT_MS;
  shown.fitting = true;
  try {
    shown.fit = await ask(shown.item.links.fit);
    shown.fitOf = asked;
    say(shown.trouble, "");
    showFit();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    pause = error.retryAfterMs || pause;
    if (error.status !== 401) say(shown.trouble, `${shown.fit ? "The curves are of an earlier fit" : "There is no fit yet"}: ${error.message}`);
  } finally {
    shown.fitting = false;
    shown.due = performance.now() + pause;
  }
  byId("pictures").classList.toggle("stale", !shown.trouble.hidden);
  if (shown.trouble.hidden) wantFit(); // after trouble, the next reading of the calibration asks again
}

function showFit() {
  const { fit, losses, optima } = shown;
  losses.fitted(fit);
  optima.fitted(fit);
  say(shown.sentence, `${fit.choice.sentence}.`);
  say(shown.standing, STANDINGS[fit.choice.standing] ?? "");
  showScale();
  fill(shown.byWidth, [["Width", true], ["Best learning rate", true], ["95 % interval", true], ["Loss", true], ["Runs"]], fit.widths.map((each) => {
    const { optimum: best } = each;
    const side = { upper_bound: "< ", lower_bound: "> " }[best?.kind] ?? "";
    const rate = make("span", {}, best ? side + number(best.bound ?? best.learning_rate) : "–");
    if (!best?.interval) rate.append(make("br"), make("small", {}, each.remark));
    const ends = ["diverged", "stopped"].filter((kind) => each[kind]).map((kind) => `${each[kind]} ${kind}`);
    return { key: each.width, cells: [String(each.width), rate, interval(best?.interval), number(best?.loss ?? null), [`${each.completed + each.diverged + each.stopped}`, ...ends].join(", ")] };
  }));
  fill(shown.laws, [["Law over width"], ["Octaves off at a width left out", true], ["Chosen"]], fit.candidates.map((law) => ({
    key: law.name,
    cells: [fit.lines.find((each) => each.law === law.name)?.name ?? law.name, number(law.out_of_sample_error, 2), law.chosen ? "yes" : "no"],
  })));
  fill(shown.ahead, [["Width", true], ["Predicted rate", true], ["95 % interval", true], ["Held"]], fit.predictions.map((each) => ({
    key: each.width, cells: [`${each.width} (×${optima.multiple(each)})`, number(each.learning_rate, 3), interval(each.interval), each.ceiling === null ? "–" : "below a divergence"],
  })));
}

/** What the learning rates of the picture are, and whether they can be scaled. */
function showScale() {
  const law = shown.fit?.choice.law ?? null;
  const [raw, scaled] = shown.rates.querySelectorAll("input");
  scaled.disabled = law === null;
  if (scaled.checked && law === null) {
    raw.checked = true;
    shown.losses.scale(false);
  }
  const one = shown.item.spec.learning_rate_rule === "global";
  const base = one ? "Raw: one learning rate for every tensor." : "Raw: the base rate, which each tensor trains at times what theory prescribes for it; if theory holds, the minima line up.";
  const needs = law === null ? " The scaled rate needs an optimum inside the learning rates of a width." : "";
  say(shown.scale, scaled.checked ? `Scaled: divided by the best rate of the chosen law (${shown.fit.choice.name}) at that width; where the law holds, every minimum is at 1.` : base + needs);
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = !text;
}
