// The check on cells that are held out: what the law says of the largest model, had it not been run.

import { byId, fill, make, tell } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { interval, number } from "/assets/shared/numbers.js";
import { ask, posted, Refused } from "/assets/shared/service.js";
import { spaced } from "/assets/shared/words.js";
import { amount, placeCells, signed } from "/assets/sweep/words.js";

const form = byId("hold-out");
let address = "";
let revision = 0;

/** Offer both ends of each axis whose numbers differ. */
export function offerHoldout(sweep, to) {
  address = to;
  const moving = Object.entries(sweep.axes).filter(([, { low, high, levels }]) => !levels && low < high);
  form.closest("section").hidden = moving.length === 0;
  const choices = moving.flatMap(([name, { low, high }]) => [[`max ${name}`, `the largest ${spaced(name)} (${amount(high)})`], [`min ${name}`, `the smallest ${spaced(name)} (${amount(low)})`]]);
  const select = form.elements.holdout;
  const chosen = select.value;
  morph(select, choices.map(([value, label]) => make("option", { value, "data-key": value }, label)));
  if (choices.some(([value]) => value === chosen)) select.value = chosen;
  if (revision !== sweep.revision) morph(byId("held"), []); // it was a score of other runs
  revision = sweep.revision;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [, end, axis] = /^(max|min) (.*)$/s.exec(form.elements.holdout.value);
  const button = form.querySelector("button");
  button.disabled = true;
  tell("held-error", "");
  morph(byId("held"), [make("p", { class: "waits" }, "Fitting the other cells…")]);
  try {
    show((await ask(`${address}/predictions`, posted({ places: [], holdout: { axis, end } }))).held_out);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    morph(byId("held"), []);
    tell("held-error", error.message);
  } finally {
    button.disabled = false;
    if (document.activeElement === document.body) button.focus();
  }
});

function show(score) {
  const count = score.cells.length;
  const regret = score.cells.reduce((sum, each) => sum + each.regret, 0) / count;
  const table = make("table", { "data-key": "table" });
  const names = Object.keys(score.cells[0].axes);
  fill(
    table,
    [...names.map((name) => [spaced(name), typeof score.cells[0].axes[name] !== "string"]), ["Was best", true], ["Predicted", true], ["95 % interval", true], ["Octaves off", true], ["Nats lost", true], ["Interval holds it"]],
    score.cells.map((each, index) => ({
      key: String(index), class: each.covered ? null : "missed",
      cells: [...placeCells(names, each.axes), number(each.optimum, 3), number(each.predicted, 3), interval(each.interval), signed(each.octaves), number(each.regret, 2), each.covered ? "yes" : "no"],
    })),
  );
  morph(byId("held"), [
    make("p", {}, `Half of the ${count} predictions are within ${number(score.median_octaves, 2)} octaves of what was best; they lose ${number(regret, 2)} nats on average, and ${score.covered} of ${count} intervals hold the optimum.`),
    make("div", { class: "scroll tall", tabindex: 0, role: "group", "aria-label": "Cells" }, table),
  ]);
}
