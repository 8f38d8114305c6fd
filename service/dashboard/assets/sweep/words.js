// Places and rates of a sweep, in words.

import { number } from "/assets/shared/numbers.js";

const IN_FULL = 1e7; // integers below are written out (chosen): 32768 is no 32770

export const amount = (value) => (typeof value === "string" || (Number.isInteger(value) && value < IN_FULL) ? String(value) : number(value, 4));

/** The cells of a table that name a place. */
export const placeCells = (names, axes) => names.map((name) => amount(axes[name]));

/** A factor that is easy to read: ×0.53, ×2.1. */
export const factor = (value) => `×${number(value, 3)}`;

export const signed = (value, digits = 2) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
