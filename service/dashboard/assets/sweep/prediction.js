// The best rate at a place: a field for each axis, and the answer as it is moved.

import { byId, make, tell, warningNodes } from "/assets/shared/elements.js";
import { live, outcomeOf } from "/assets/shared/live.js";
import { morph } from "/assets/shared/morph.js";
import { interval, number } from "/assets/shared/numbers.js";
import { ask, posted, Refused } from "/assets/shared/service.js";
import { spaced } from "/assets/shared/words.js";
import { amount } from "/assets/sweep/words.js";

const TYPING_MS = 250; // a pause in typing
const DRAGGING_MS = 30;
const AHEAD = 64; // how far a slider goes beyond the largest value (chosen)
const STEPS = 8; // of a slider, for an octave

const form = byId("place");
let address = "";
let axes = {};

/** Offer a field for each axis of a sweep; what a reader has put into one stays. */
export function offerPlace(sweep, to) {
  address = to;
  const same = JSON.stringify(Object.keys(axes)) === JSON.stringify(Object.keys(sweep.axes));
  axes = sweep.axes;
  if (!same) form.replaceChildren(...Object.entries(axes).map(fieldOf));
  else for (const [name, { levels }] of Object.entries(axes)) if (levels) fillLevels(form.elements[`axis ${name}`], levels);
  for (const name of Object.keys(axes)) showReach(name);
  question(0);
}

function fillLevels(select, levels) {
  const chosen = select.value;
  select.replaceChildren(...levels.map((level) => make("option", { value: level }, level)));
  if (levels.includes(chosen)) select.value = chosen;
}

/** The value at which a slider stands: whole octaves of the smallest one are exact, as 2048 is, and others are rounded. */
function valueAt(position, low) {
  const octaves = position - Math.log2(low);
  const whole = Math.round(octaves);
  return Math.abs(octaves - whole) < 1e-6 ? low * 2 ** whole : Number((2 ** position).toPrecision(3));
}

function fieldOf([name, { low, high, levels }]) {
  if (levels) {
    const select = make("select", { name: `axis ${name}` });
    fillLevels(select, levels);
    return make("label", {}, spaced(name), select);
  }
  const field = make("input", { name: `axis ${name}`, inputmode: "decimal", value: String(high), "aria-describedby": `reach ${name}`.replaceAll(" ", "-") });
  const slider = make("input", { type: "range", min: Math.log2(low) - 1, max: Math.log2(high * AHEAD), step: 1 / STEPS, "aria-label": `${spaced(name)}, as a slider`, "data-axis": name });
  return make("div", { class: "axis-field" }, make("label", {}, spaced(name), field), slider, make("span", { class: "hint reach", id: `reach ${name}`.replaceAll(" ", "-") }));
}

const fieldFor = (name) => form.elements[`axis ${name}`];
const sliderFor = (name) => [...form.querySelectorAll("[data-axis]")].find((slider) => slider.dataset.axis === name);

function showReach(name) {
  const { low, high, levels } = axes[name];
  if (levels) return;
  const value = Number(fieldFor(name).value);
  const far = value > high ? value / high : value < low ? low / value : 1;
  const place = document.getElementById(`reach ${name}`.replaceAll(" ", "-"));
  const covers = low === high ? `the runs have ${amount(low)} alone` : `the runs cover ${amount(low)} to ${amount(high)}`;
  place.textContent = far > 1.0001 ? `extrapolated by ×${number(far, 3)}; ${covers}` : covers;
  place.classList.toggle("beyond", far > 1.0001);
  const slider = sliderFor(name);
  if (value > 0 && document.activeElement !== slider) slider.value = String(Math.log2(value));
  slider.setAttribute("aria-valuetext", number(value, 4));
}

function wrong() {
  for (const [name, { levels }] of Object.entries(axes)) {
    const field = fieldFor(name);
    const bad = !levels && !(Number(field.value.replaceAll(",", "")) > 0);
    if (bad) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    if (bad) return `${spaced(name)} is “${field.value}”; give a number above 0, such as ${amount(axes[name].high)}.`;
  }
  return "";
}

const place = () => Object.fromEntries(Object.entries(axes).map(([name, { levels }]) => [name, levels ? fieldFor(name).value : Number(fieldFor(name).value.replaceAll(",", ""))]));

const question = live(
  async (signal) => [await outcomeOf(() => {
    const fault = wrong();
    if (fault) throw new Refused(422, fault);
    return ask(`${address}/predictions`, posted({ places: [place()] }, signal));
  }, [Refused])],
  ([{ value, error }]) => {
    byId("prediction").classList.toggle("void", Boolean(error));
    if (error) {
      tell("place-error", error.message.replace(/^places\[0\]: /, ""));
      return;
    }
    tell("place-error", "");
    show(value.predictions[0]);
  },
);

function show(found) {
  const holding = found.published.filter(({ valid }) => valid);
  const parts = [
    make("p", { class: "rate" }, make("span", { class: "hint" }, "Best learning rate"), make("strong", {}, number(found.learning_rate, 3))),
    make("dl", {},
      make("dt", {}, "95 %, of this cell"), make("dd", {}, interval(found.interval)),
      make("dt", {}, "95 %, of the law"), make("dd", {}, `${interval(found.law_interval)}; single cells scatter about it`),
      make("dt", {}, "Expected regret"), make("dd", {}, `${number(found.expected_regret, 2)} nats lost to the optimum, on average`)),
    ...warningNodes(found.warnings),
  ];
  if (holding.length > 0) parts.push(make("details", { "data-key": "published" }, make("summary", {}, `Published laws that hold here: ${holding.length}`), make("dl", {}, ...holding.flatMap((law) => [make("dt", {}, number(law.learning_rate, 3)), make("dd", { title: law.source }, `${law.title}${law.interval ? `, 95 %: ${interval(law.interval)}` : ""}`)]))));
  morph(byId("prediction"), parts);
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", (event) => {
  const { axis } = event.target.dataset;
  if (axis) {
    fieldFor(axis).value = String(valueAt(Number(event.target.value), axes[axis].low));
    showReach(axis);
    question(DRAGGING_MS, true);
    return;
  }
  const name = event.target.name.slice("axis ".length);
  showReach(name);
  question(TYPING_MS);
});
