// Words of a calibration as a reader takes them in: settings, optima, exponents.

import { byId } from "/assets/shared/elements.js";
import { number } from "/assets/shared/numbers.js";
import { spaced } from "/assets/shared/words.js";

/** What the library calls a word of a list, such as muP for mup. */
function called(list, word) {
  const option = [...byId("words").elements[list].options].find((each) => each.value === word);
  return option ? option.textContent : spaced(word);
}

/** Parameterization, optimizer and alignment of a specification. */
export function setting(spec) {
  const alignment = typeof spec.alignment === "string" ? `${spec.alignment} alignment` : "alignment given by role";
  return `${called("parameterization", spec.parameterization)}, ${called("optimizer", spec.optimizer)}, ${alignment}`;
}

/** An optimum, or what bounds it. Results stored before bounds were have only the edge of the grid. */
export function bounded(optimum, name = "learning_rate") {
  const side = { upper_bound: "< ", lower_bound: "> " }[optimum.kind];
  if (!side) return number(optimum[name], 3);
  return optimum.bound ? side + number(optimum.bound, 3) : `edge, ${number(optimum[name], 3)}`;
}

/** A slope with its error, signed as text is. */
export function signed(value, digits = 2) {
  const size = Math.abs(value).toFixed(digits);
  return value < 0 && Number(size) !== 0 ? `−${size}` : size;
}

/** An interval of exponents: two decimals are enough. */
export function between(pair) {
  return pair ? `${signed(pair[0])} to ${signed(pair[1])}` : "–";
}

/** What a panel says while it has nothing to show. */
export function waiting(item, hasEnded) {
  return hasEnded ? "Nothing of this was measured before it ended." : item.state === "queued" ? "Waits for a worker." : "Waits for its runs.";
}
