// An alignment in the calculator's fields, which its address names too: a word, or measured exponents by role.

/** The roles that have an alignment: an embedding's input is fixed. */
const ALIGNED = ["hidden", "readout"];
const EXPONENTS = ["alpha", "omega", "u"];

/** By the path within an alignment: the field of the calculator that holds it. prefix: which of the two prescriptions. */
export function alignmentNames(prefix = "alignment") {
  return Object.fromEntries(ALIGNED.flatMap((role) => EXPONENTS.map((name) => [`${role}.${name}`, `${prefix}_${role}_${name}`])));
}

/** What the calculator's fields hold for an alignment of the API; omega replaces the readout's ω, if it is not null. */
export function alignmentFields(alignment, omega) {
  const replaced = omega === null || omega === undefined ? {} : { readout_omega: omega };
  if (!alignment) return {}; // a sweep need not say its own
  if (typeof alignment === "string") return { alignment, ...replaced };
  const numbers = Object.entries(alignmentNames()).map(([path, field]) => [field, alignment[path.split(".")[0]][path.split(".")[1]]]);
  return { alignment: "measured", ...Object.fromEntries(numbers), ...replaced };
}

const USUAL_OMEGA = 0.5; // of the readout, with an alignment that has a name

/** What decides if two alignments are one: ω of the readout may be the alignment's own, or replaced. */
export function alignmentInForce({ alignment, readout_omega: omega, ...fields }) {
  if (alignment !== "measured") return `${alignment} ${Number(omega || USUAL_OMEGA)}`;
  return Object.values(alignmentNames()).map((name) => Number((name === "alignment_readout_omega" && omega) || fields[name])).join(" ");
}
