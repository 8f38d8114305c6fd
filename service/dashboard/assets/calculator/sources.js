// Where the exponents come from: theory, or what calibrations and sweeps measured in the setting of the fields.

import { alignmentFields, alignmentInForce } from "/assets/shared/alignment.js";
import { tell } from "/assets/shared/elements.js";
import { form, offer, values } from "/assets/calculator/fields.js";
import { ask } from "/assets/shared/service.js";
import { plural } from "/assets/shared/words.js";

const SWEEP = "sweep:"; // before a sweep's id, where a calibration has its id alone

let sources = []; // { value, label, fits, setting }

const day = (item) => new Date(item.created_at).toLocaleDateString();

const SCHEME = ["parameterization", "optimizer"];

const isAligned = ({ alignment, readout_omega: omega }, now) => alignmentInForce(alignmentFields(alignment, omega)) === alignmentInForce(now);

const aligned = ({ alignment }) => (typeof alignment === "string" ? alignment : "an alignment by role");

function ofCalibration(item) {
  const { spec } = item;
  const measured = `${spec.proxy.architecture}, ${spec.proxy.dataset}, widths ${Math.min(...spec.widths)} to ${Math.max(...spec.widths)}`;
  return {
    value: item.id,
    label: item.name ? `${item.name}: ${measured}` : `${measured}, ${day(item)}`,
    fits: (now) => SCHEME.every((name) => spec[name] === now[name]) && isAligned(spec, now),
    setting: `${spec.parameterization}, ${spec.optimizer}, ${aligned(spec)}`,
  };
}

function ofSweep(item) {
  const { reading } = item;
  const isPrescribed = reading.prescribed.includes("width"); // alignment enters only such rates
  return {
    value: SWEEP + item.id,
    label: `${item.name}: sweep of ${plural(item.runs, "run")}`,
    fits: (now) => SCHEME.every((name) => reading[name] === now[name]) && (!isPrescribed || isAligned(reading, now)),
    setting: [...SCHEME.map((name) => reading[name]), ...(isPrescribed ? [aligned(reading)] : [])].join(", "),
  };
}

/** Read the calibrations and sweeps with usable exponents. */
export async function readSources() {
  const [calibrations, sweeps] = await Promise.all(["/v1/calibrations?state=succeeded&limit=200", "/v1/sweeps?limit=200"].map((path) => ask(path)));
  sources = [
    ...calibrations.items.filter((item) => item.result.exponents.length > 0).map(ofCalibration),
    ...sweeps.items.filter((item) => item.axes.width?.low < item.axes.width?.high).map(ofSweep),
  ];
  offerSources();
}

let offers = "";

/** Offer those that were measured in the fields' setting, with what rules a sweep measured, and say how many were not. */
export function offerSources() {
  const now = values();
  const fitting = sources.filter(({ fits }) => fits(now));
  const others = sources.length - fitting.length;
  const other = sources.find(({ value }) => value === now.exponents && !fitting.some((each) => each.value === value)); // of a link, or of before
  const elsewhere = others > 0 ? `${others} more ${others === 1 ? "was" : "were"} measured in another setting.` : "";
  tell("offered", other ? `The chosen one was measured in another setting: ${other.setting}.` : elsewhere);
  for (const option of form.querySelectorAll("[name$=_rule] > [value=measured]")) option.disabled = option.hidden = !now.exponents.startsWith(SWEEP) && !option.selected;
  const choices = [["", "theory"], ...fitting.map(({ value, label }) => [value, label])];
  const version = JSON.stringify(choices);
  if (version === offers) return; // a list that is rebuilt while it is open closes
  offers = version;
  offer("exponents", choices);
}

/** The `exponents` of a transfer for what the field holds. */
export function exponentsOf(value) {
  return value.startsWith(SWEEP) ? { source: "sweep", id: value.slice(SWEEP.length) } : { source: "calibration", id: value };
}

/** Where the exponents of a plan come from, in a sentence. */
export function sourceOf({ source, reference, widths, name, sweep_id: sweep, calibration_id: calibration }) {
  if (source === "theory") return `Exponents from theory: ${reference}.`;
  if (source === "sweep") return `Learning-rate exponent over width measured by the sweep ${name ?? sweep}.`;
  return `Learning-rate exponents measured by ${calibration} at widths ${widths.join(", ")}.`;
}
