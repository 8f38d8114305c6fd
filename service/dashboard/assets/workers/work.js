// What the page calls calibrations, shards and stretches of time.

import { make } from "/assets/shared/elements.js";

const PREFIX = 10; // characters of an id (chosen): six hexadecimal digits tell hundreds apart

const nameOf = (id, name) => name || (id.length > PREFIX ? `${id.slice(0, PREFIX)}…` : id);

/** A link to a calibration by its name. */
export const linkTo = (id, name) => make("a", { href: `/calibrations/${id}`, title: id }, nameOf(id, name));

export const shardText = ({ kind, width, role }) => [kind, `width ${width}`, role].filter(Boolean).join(", ");


/** How long something takes, in its two largest units at most. */
export function lasting(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}
