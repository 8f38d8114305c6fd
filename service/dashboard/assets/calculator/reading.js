// What a field holds as a number, an interval or a text for a request; what is none of them is told at its field.

import { labelOf } from "/assets/calculator/fields.js";

/** What a field holds that is no number or no model: found before the service is asked. */
export class Unreadable extends Error {
  constructor(field, message) {
    super(`${message[0].toUpperCase()}${message.slice(1)}`); // labels within a table are in small letters
    this.field = field;
  }
}

const asNumber = (text) => (text === "" ? NaN : Number(text.replaceAll("−", "-")));

/** The number in a field; undefined if it is empty. */
export function numeric(state, name) {
  const text = state[name].replace(/(?<=\d)[_ ,](?=\d{3}(?!\d))/g, "");
  if (text === "") return undefined;
  const value = asNumber(text);
  if (!Number.isFinite(value)) throw new Unreadable(name, `${labelOf(name)} must be a number, such as 0.003 or 1e-8, not “${state[name]}”.`);
  return value;
}

export function required(state, name) {
  const value = numeric(state, name);
  if (value === undefined) throw new Unreadable(name, `${labelOf(name)} is empty; give a number.`);
  return value;
}

function interval(state, name) {
  const ends = state[name].split(/\s*(?:to|[,;…])\s*|\s+/).map(asNumber);
  if (ends.length !== 2 || !ends.every(Number.isFinite)) throw new Unreadable(name, `${labelOf(name)} must be two numbers, such as 0.2 to 0.4, not “${state[name]}”.`);
  return ends;
}

/** By the kind of a parameter: what reads it. */
export const READERS = { number: numeric, interval, text: (state, name) => state[name] };
