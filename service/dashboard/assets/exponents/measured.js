// One measured exponent: what it is called, how it is written, and how far it is from theory.

import { alignmentFields } from "/assets/shared/alignment.js";
import { make } from "/assets/shared/elements.js";

const FINEST = 6; // decimals

const PREFIX = 10; // characters of an id (chosen): six hexadecimal digits tell hundreds apart

/** What a calibration is called: its name, or else how its id begins. */
export const called = (id, name) => name || (id.length > PREFIX ? `${id.slice(0, PREFIX)}…` : id);

export const titleOf = (row) => called(row.calibration_id, row.calibration_name);

export const words = (text) => text.replaceAll("_", " ");

export const settingOf = (row) => `${row.parameterization}, ${words(row.optimizer)}, ${row.alignment}`;

/** A number with as many decimals as its error deserves: two digits of it. */
export function rounded(value, error) {
  const decimals = error > 0 ? Math.min(Math.max(1 - Math.floor(Math.log10(error)), 0), FINEST) : 3;
  const text = value.toFixed(decimals);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

export function withError(value, error) {
  return error === null || error === undefined ? rounded(value, 0) : `${rounded(value, error)} ± ${rounded(error, error)}`;
}

export const intervalOf = (row) => (row.interval ? row.interval.map((end) => rounded(end, row.standard_error)).join(" to ") : "–");

/** How far a value is from theory's, in standard errors; null where either is unknown. */
export function distance(row) {
  return row.theory === null || !(row.standard_error > 0) ? null : (row.value - row.theory) / row.standard_error;
}

export const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;

/** Whether the value is theory's own: the optima did not refute it, and the errors say how far they could have. */
export const isTheorys = (row) => row.theory !== null && row.value === row.theory;

/** A link that opens the calculator with what a calibration measured, in the setting of its specification. */
export function planLink(id, { parameterization, optimizer, alignment, readout_omega: omega }, attributes = {}) {
  const choice = new URLSearchParams({ exponents: id, parameterization, optimizer, ...alignmentFields(alignment, omega) });
  return make("a", { href: `/#${choice}`, ...attributes }, "Use in a plan");
}
