// One number of a plan, opened: its formula, the factor of each rule with its source, its exponent, reason and cautions.

import { breakable, byId, make, warningNodes } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { number, power } from "/assets/shared/numbers.js";
import { QUANTITIES, TERMS, baseOf } from "/assets/calculator/plan.js";
import { termLink } from "/assets/shared/terms.js";

function formula({ quantity }) {
  const factors = Object.values(quantity.factors);
  const product = factors.length > 1 ? factors.map((factor) => number(factor)).join(" × ") : number(quantity.multiplier);
  const base = baseOf(quantity);
  if (base === null) return `target ÷ base = ${factors.length > 1 ? `${product} = ` : ""}${number(quantity.multiplier)} (no value was tuned at the base)`;
  return `${number(quantity.value)} = ${number(base)} × ${product}`;
}

/** Show where a number comes from; null hides it. */
export function explain(found) {
  const place = byId("explanation");
  place.hidden = found === null;
  if (found === null) return;
  const { plan, row, name, quantity, title } = found;
  const sources = new Map(plan.rules.map((rule) => [rule.name, rule.source]));
  const facts = [["Value", make("code", {}, formula(found))], ["Over width", `${power(quantity.exponent)} (exponent ${number(quantity.exponent)})`]];
  for (const [rule, factor] of Object.entries(quantity.factors)) facts.push([`× ${number(factor)}`, `${rule.replaceAll("_", " ")}: ${sources.get(rule) ?? "the model's own code"}`]);
  facts.push(["Why", row.reason]);
  if (row.names.length > 1) facts.push(["Tensors", `${row.names.length}, from ${row.names[0]} to ${row.names.at(-1)}`]);
  morph(place, [
    make("header", {},
      make("h3", {}, `${QUANTITIES[name]}, `, ...breakable(row.label), `${title ? ` (${title})` : ""} `, termLink(TERMS[name])),
      make("button", { type: "button", class: "plain", "data-close": true }, "Close")),
    make("dl", {}, ...facts.flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)])),
    ...warningNodes(plan.warnings),
  ]);
}
