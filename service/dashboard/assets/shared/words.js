// Words of several pages: durations, counts, names, refusals.

import { number } from "/assets/shared/numbers.js";

export function duration(seconds) {
  if (seconds < 1) return `${Math.max(1, Math.round(1000 * seconds))} ms`;
  if (seconds < 10) return `${number(seconds, 2)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${number(seconds / 3600, 2)} h` : `${Math.round(seconds / 86_400)} days`;
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** A word of the API as it is read: learning_rate, learning rate. */
export const spaced = (word) => word.replaceAll("_", " ");

/** A text with the minus signs of print. */
export const minus = (text) => text.replaceAll("-", "−");

/** What an action's refusal says, with what a reader can do about it. */
export function refusal(error) {
  return error.status === 403 ? `${error.message} Ask the operator for such a key; “Forget the API key” above lets you enter it.` : error.message;
}

/** A fault of the API as a sentence. */
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
