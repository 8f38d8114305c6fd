// The rules of a transfer beyond width: what the lists choose, with the parameters that the chosen rules take.

import { RULES, form } from "/assets/calculator/fields.js";
import { READERS } from "/assets/calculator/reading.js";

/** The fields of parameters: the page has one for each parameter of each rule. */
const PARAMETERS = [...form.querySelectorAll("[data-rule]")].map(({ name, dataset }) => ({ name, ...dataset, about: dataset.path.split(".")[1], parameter: dataset.path.split(".")[2] }));

const ofRule = (state, about) => PARAMETERS.filter((each) => each.about === about && each.rule === state[RULES[about]]);

/** The `rules` of a transfer. A parameter that is left empty is left to the service. Throws Unreadable. */
export function rulesOf(state) {
  const rules = {};
  for (const [about, list] of Object.entries(RULES)) {
    if (!state[list]) continue;
    const given = ofRule(state, about).filter(({ name }) => state[name]).map(({ name, kind, parameter }) => [parameter, READERS[kind](state, name)]);
    rules[about] = given.length > 0 ? { rule: state[list], ...Object.fromEntries(given) } : state[list];
  }
  return rules;
}

/** By the path of a request: the field of each rule, and of each parameter of the chosen ones. */
export function ruleFields(state) {
  const lists = Object.entries(RULES).map(([about, list]) => [`rules.${about}`, list]);
  const parameters = Object.keys(RULES).flatMap((about) => ofRule(state, about).map(({ path, name }) => [path, name]));
  return Object.fromEntries([...lists, ...parameters]);
}
