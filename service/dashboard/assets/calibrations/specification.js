// The body that starts a calibration, from what the fields hold; the fields of a body; and the field that an error is about.

const PLAIN = ["seeds", "steps", "epsilon", "readout_omega", "target_width", "precision", "budget", "mesh", "probe_learning_rate"];
const WORDS = ["alignment", "form", "learning_rate_rule", "epsilon_rule", "search", "runner"];
const ASKED = ["precision", "budget"]; // of a search, which has no defaults for them and can't do without
const OF_PROXY = ["depth", "head_dim", "sequence_length", "batch_size"];
const FLAGS_OF_PROXY = ["qk_norm", "tied"];
const NAMED = ["proxy", "parameterization", "optimizer", "widths", "learning_rates", "measure", "horizons", "early_stopping", "name", "note", ...PLAIN, ...WORDS];
const SPOKEN = ["head_dim", "batch_size", "sequence_length", "target_width"]; // names in messages that the page has other words for
export const STEP_OCTAVES = 0.5; // of a range (chosen): that of the service's own grids
const MOST_RATES = 1000; // of a range (chosen): more than any service takes, and no step however small makes it endless

/** What a field holds that can't be read: found before the service is asked. */
export class Unreadable extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

function numberOf(text, name, label) {
  if (text === "") throw new Unreadable(name, `${label} is empty; give a number.`);
  const value = Number(text.replace(/(?<=\d)[_ ](?=\d{3}(?!\d))/g, ""));
  if (!Number.isFinite(value)) throw new Unreadable(name, `${label} must be a number, such as 200 or 1e-8, not “${text}”.`);
  return value;
}

function numbersOf(text, name, label) {
  const parts = text.split(/[\s,;]+/).filter(Boolean);
  if (parts.length === 0) throw new Unreadable(name, `${label} is empty; give numbers, such as 64, 128, 256.`);
  return parts.map((part) => numberOf(part, name, label));
}

function jsonOf(text, name) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Unreadable(name, `This is not JSON: ${error.message}.`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Unreadable(name, "This must be a JSON object, such as {\"seeds\": 3}.");
  return value;
}

/** The rates of a range: from the first in steps of so many octaves, up to the last; undefined if nothing is given. */
function rangeOf(state) {
  if (["rate_from", "rate_to", "rate_step"].every((name) => state[name] === "")) return undefined;
  const from = numberOf(state.rate_from, "rate_from", "Rate from");
  const to = numberOf(state.rate_to, "rate_to", "Rate to");
  const step = state.rate_step === "" ? STEP_OCTAVES : numberOf(state.rate_step, "rate_step", "Step");
  if (from <= 0) throw new Unreadable("rate_from", `Rate from must be above 0, not ${from}.`);
  if (to < from) throw new Unreadable("rate_to", `Rate to must be above the first rate, ${from}, not ${to}.`);
  if (step <= 0) throw new Unreadable("rate_step", `Step must be above 0 octaves, not ${step}.`);
  const count = Math.min(Math.floor(Math.log2(to / from) / step + 1e-6) + 1, MOST_RATES);
  return Array.from({ length: count }, (_, index) => Number((from * 2 ** (index * step)).toPrecision(6)));
}

/** The body of what the fields hold. What is left open is left out, so that the service fills it in. Throws Unreadable. */
export function bodyOf(fields, state) {
  const { begins } = fields;
  const given = (name) => fields.applies(name, state) && state[name] !== "";
  const read = (name) => numberOf(state[name], name, fields.labelOf(name));
  const body = { parameterization: state.parameterization, optimizer: state.optimizer };
  for (const name of WORDS) if (given(name) && state[name] !== begins[name]) body[name] = state[name];
  body.widths = numbersOf(state.widths, "widths", "Widths");
  const rates = state.rates === "range" ? rangeOf(state) : state.rates === "list" ? numbersOf(state.rate_list, "rate_list", "Learning rates") : undefined;
  if (rates) body.learning_rates = rates;
  for (const name of PLAIN) if (given(name)) body[name] = read(name);
  if (!state.early_stopping) body.early_stopping = false;
  if (state.measure !== begins.measure) body.measure = state.measure.split(" ").filter(Boolean);
  if (given("horizons")) body.horizons = numbersOf(state.horizons, "horizons", "Horizons");
  const proxy = {};
  for (const name of OF_PROXY) if (given(name)) proxy[name] = read(name);
  if (given("dataset")) proxy.dataset = state.dataset;
  if (given("feed_forward") && state.feed_forward !== begins.feed_forward) proxy.feed_forward = state.feed_forward;
  for (const name of FLAGS_OF_PROXY) if (given(name)) proxy[name] = true;
  if (Object.keys(proxy).length > 0 || state.architecture !== begins.architecture) body.proxy = { architecture: state.architecture, ...proxy };
  for (const name of ["name", "note"]) if (state[name]) body[name] = state[name];
  return state.others ? { ...body, ...jsonOf(state.others, "others") } : body;
}

/** A pasted specification as an object; that of a whole calibration if one was pasted. Throws Unreadable. */
export function pastedOf(text) {
  const value = jsonOf(text, "pasted");
  return value.spec && typeof value.spec === "object" ? value.spec : value;
}

/** The body whose answer has the defaults of a specification: what is left of it without anything that has a default. */
export function bareOf(spec) {
  const kept = ["parameterization", "optimizer", "widths", "measure", "runner", "search", ...ASKED];
  const bare = Object.fromEntries(kept.filter((name) => spec[name] !== undefined && spec[name] !== null).map((name) => [name, spec[name]]));
  if (spec.proxy?.architecture) bare.proxy = { architecture: spec.proxy.architecture };
  return bare;
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** What the fields hold for a specification. Members that are as in `defaults` stay open; those without a field are kept as JSON. */
export function stateOf(spec, defaults, begins) {
  const state = { ...begins };
  const proxy = spec.proxy ?? {};
  const usual = defaults?.proxy ?? {};
  const differs = (value, other) => value !== undefined && value !== null && !same(value, other);
  for (const name of ["parameterization", "optimizer"]) if (spec[name]) state[name] = spec[name];
  for (const name of WORDS) if (typeof spec[name] === "string") state[name] = spec[name];
  if (spec.widths) state.widths = spec.widths.join(", ");
  if (spec.learning_rates?.length > 0 && !same(spec.learning_rates, defaults?.learning_rates)) Object.assign(state, { rates: "list", rate_list: spec.learning_rates.join(", ") });
  for (const name of PLAIN) if (differs(spec[name], ASKED.includes(name) ? undefined : defaults?.[name])) state[name] = String(spec[name]);
  if (spec.measure) state.measure = spec.measure.join(" ");
  if (spec.horizons?.length > 0 && differs(spec.horizons, defaults?.horizons)) state.horizons = spec.horizons.join(", ");
  if (spec.early_stopping === false) state.early_stopping = "";
  if (proxy.architecture) state.architecture = proxy.architecture;
  for (const name of [...OF_PROXY, "dataset"]) if (differs(proxy[name], usual[name])) state[name] = String(proxy[name]);
  if (proxy.feed_forward) state.feed_forward = proxy.feed_forward;
  for (const name of FLAGS_OF_PROXY) state[name] = proxy[name] === true ? "yes" : "";
  for (const name of ["name", "note"]) state[name] = spec[name] ?? "";
  const others = Object.fromEntries(Object.entries(spec).filter(([name, value]) => differs(value, defaults?.[name]) && (!NAMED.includes(name) || (name === "alignment" && typeof value !== "string"))));
  state.others = Object.keys(others).length > 0 ? JSON.stringify(others) : "";
  return state;
}

// what is wrong ---------------------------------------------------------------

/** The problems of an error, each { field, message }; a field is null if none is to blame. */
export function problemsOf(error, fields, state) {
  if (error instanceof Unreadable) return [{ field: error.field, message: error.message }];
  const errors = error.errors?.length > 0 ? error.errors : [{ message: error.message }];
  return errors.map((each) => {
    const field = fieldOf(each, fields, state);
    return { field, message: sentence(each, field, fields) };
  });
}

function fieldOf({ pointer, field, limit, in_use: inUse }, fields, state) {
  const path = (pointer ?? field ?? "").replace(/^#?\/?/, "").replaceAll("/", ".").replace(/^spec\./, "").replace(/^proxy\.((mlp|transformer)\.)?/, "");
  const name = path.split(".")[0];
  if (!name) return limit !== undefined && inUse === undefined ? "widths" : null; // a cap on the whole: every remedy begins with them
  if (state.others && Object.hasOwn(safely(() => JSON.parse(state.others)) ?? {}, name)) return "others";
  if (name === "learning_rates") return { automatic: "rates", range: "rate_from", list: "rate_list" }[state.rates];
  return fields.named().includes(name) ? name : null;
}

function safely(action) {
  try {
    return action();
  } catch {
    return null;
  }
}

const COUNT = /^List should have at (least|most) (\d+) items? after validation, not (\d+)$/;

/** An error's message in the page's words. */
function sentence({ message, value }, field, fields) {
  let text = message.replace(COUNT, "Give at $1 $2 of them, not $3").replace(/^String should match pattern.*$/, "This has characters that are not allowed here");
  for (const name of SPOKEN) text = text.replaceAll(name, `“${fields.labelOf(name)}”`);
  if (field && text.startsWith("It ")) text = `${fields.labelOf(field)}${text.slice(2)}`;
  if (field && /^(is|of|lacks) /.test(text)) text = `${fields.labelOf(field)} ${text}`;
  const isShown = value !== undefined && value !== null && typeof value !== "object" && !text.includes(String(value));
  const given = isShown ? `, not ${value}` : "";
  return `${text[0].toUpperCase()}${text.slice(1)}${given}${/[.!?]$/.test(text + given) ? "" : "."}`;
}
