// The body of a transfer, from what the fields hold; and the field that an error of the service is about.

import { ROLES, VALUES, applies, labelOf } from "/assets/calculator/fields.js";
import { exponentsOf } from "/assets/calculator/sources.js";
import { configOf, modelOf, rolesOf } from "/assets/calculator/models.js";

/** By the path of a request: the field that holds its value, for the prescription and for the one it is compared with. */
const FIELDS = {
  "base.width": "base_width", "base.depth": "base_depth", "base.batch_tokens": "base_batch", "base.tokens": "base_tokens",
  "base.learning_rate": "learning_rate", "base.epsilon": "epsilon", "base.weight_decay": "weight_decay", "base.init_std": "init_std",
  "base.beta1": "beta1", "base.beta2": "beta2", "base.steps": "base_steps", "base.warmup_steps": "warmup_steps", "base.cooldown_steps": "cooldown_steps",
  ...Object.fromEntries(VALUES.flatMap((name) => ROLES.map((role) => [`base.${name}.${role}`, `${name}_${role}`]))),
  ...Object.fromEntries(["experts", "active_experts", "shared_experts", "rank", "lora_alpha", "parameters"].flatMap((name) => ["base", "target"].map((end) => [`${end}.${name}`, `${end}_${name}`]))),
  "target.steps": "target_steps",
  "target.width": "target_width", "target.depth": "target_depth", "target.batch_tokens": "target_batch", "target.tokens": "target_tokens",
  parameterization: "parameterization", optimizer: "optimizer", alignment: "alignment", "exponents.id": "exponents", readout_omega: "readout_omega", form: "form", weight_decay_mode: "weight_decay_mode", block_size: "block_size",
  "rules.depth": "depth_rule", "rules.batch": "batch_rule", "rules.batch.exponent": "batch_exponent", "rules.batch.noise_scale": "noise_scale",
  "rules.tokens": "tokens_rule", "rules.tokens.exponent": "tokens_exponent", "rules.weight_decay": "decay_rule", "rules.schedule": "schedule_rule", "rules.experts": "experts_rule", "rules.rank": "rank_rule",
  "model.base": "base_file", "model.target": "target_file", "model.roles": "roles", tensors: "base_file", layout: "layout",
};
const COMPARED = { parameterization: "compare_parameterization", optimizer: "compare_optimizer", alignment: "compare_alignment" };
const OF_FILES = { base_width: "file_base_width", target_width: "file_target_width" };
const OF_ARCHITECTURE = { base_file: "base_width", target_file: "target_width" };

/** What a field holds that is no number or no model: found before the service is asked. */
export class Unreadable extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

function numeric(state, name) {
  const text = state[name].replace(/(?<=\d)[_ ,](?=\d{3}(?!\d))/g, "");
  if (text === "") return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Unreadable(name, `${labelOf(name)} must be a number, such as 0.003 or 1e-8, not “${state[name]}”.`);
  return value;
}

function required(state, name) {
  const value = numeric(state, name);
  if (value === undefined) throw new Unreadable(name, `${labelOf(name)} is empty; give a number.`);
  return value;
}

function readable(state, name, read) {
  if (state[name] === "") throw new Unreadable(name, `${labelOf(name)} is empty; paste it, or read it from a file.`);
  try {
    return read(state[name]);
  } catch (error) {
    throw new Unreadable(name, `${labelOf(name)} ${error.message}.`);
  }
}

function modelFor(state) {
  if (state.model === "files") {
    const roles = state.roles ? { roles: readable(state, "roles", rolesOf) } : {};
    return { base: readable(state, "base_file", modelOf), target: readable(state, "target_file", modelOf), ...roles };
  }
  const size = (end) => ({
    width: required(state, `${end}_width`), depth: required(state, `${end}_depth`), head: required(state, "head_dim"),
    ratio: required(state, "mlp_ratio"), vocabulary: required(state, "vocabulary"),
  });
  return { base: configOf(state.kind, size("base")), target: configOf(state.kind, size("target")) };
}

function rulesFor(state, read) {
  const rules = {};
  if (state.depth_rule) rules.depth = state.depth_rule;
  if (state.batch_rule) rules.batch = state.batch_rule;
  if (state.batch_rule === "power") rules.batch = { rule: "power", exponent: read("batch_exponent") };
  if (state.batch_rule === "surge") rules.batch = { rule: "surge", noise_scale: read("noise_scale") };
  if (state.tokens_rule) rules.tokens = state.tokens_rule;
  if (state.tokens_rule === "horizon") rules.tokens = { rule: "horizon", exponent: read("tokens_exponent") };
  if (state.decay_rule) rules.weight_decay = state.decay_rule;
  for (const name of ["schedule", "experts", "rank"]) if (state[`${name}_rule`]) rules[name] = state[`${name}_rule`];
  return rules;
}

/** By what brings them onto the page: sizes of both ends, and values of the base, that a reader may leave empty. */
const OPTIONAL_SIZES = {
  batch: [[], ["beta1", "beta2"]],
  parameters: [["parameters"], []],
  steps: [["steps"], ["warmup_steps", "cooldown_steps"]],
  experts: [["experts", "active_experts"], []],
  shared_experts: [["shared_experts"], []],
  rank: [["rank", "lora_alpha"], []],
};

/** A tuned value: one number, or a number by role where one of the roles has its own. */
function tunedValue(state, name) {
  const own = ROLES.filter((role) => state[`${name}_${role}`]);
  const others = ROLES.length > own.length && name === "learning_rate" ? required(state, name) : state[name] ? numeric(state, name) : undefined;
  if (own.length === 0) return others;
  return Object.fromEntries(ROLES.map((role) => [role, own.includes(role) ? numeric(state, `${name}_${role}`) : others]).filter(([, value]) => value !== undefined));
}

/** The body of a transfer. `compared` asks for the prescription that the first is compared with. Throws Unreadable. */
export function bodyOf(state, compared = false) {
  const holds = applies(state);
  const read = (name) => required(state, name);
  const base = {};
  const target = {};
  for (const name of VALUES) {
    const tuned = tunedValue(state, name);
    if (tuned !== undefined) base[name] = tuned;
  }
  const sizes = { width: state.model === "roles", depth: state.model === "roles" && holds("depth"), batch: holds("batch"), tokens: holds("tokens") };
  for (const name of Object.keys(sizes).filter((each) => sizes[each])) {
    const field = name === "batch" ? "batch_tokens" : name;
    base[field] = read(`base_${name}`);
    target[field] = read(`target_${name}`);
  }
  for (const [need, [ofBoth, ofBase]] of Object.entries(OPTIONAL_SIZES)) {
    if (!holds(need)) continue; // what is left empty, the service asks for where it needs it
    for (const name of ofBase) if (state[name]) base[name] = numeric(state, name);
    for (const name of ofBoth) {
      if (state[`base_${name}`]) base[name] = numeric(state, `base_${name}`);
      if (state[`target_${name}`]) target[name] = numeric(state, `target_${name}`);
    }
  }
  const body = { parameterization: state.parameterization, optimizer: state.optimizer, alignment: state.alignment, base, target };
  if (state.exponents && !compared) body.exponents = exponentsOf(state.exponents);
  for (const name of ["readout_omega", "block_size"]) if (state[name] && (name !== "block_size" || holds(name))) body[name] = numeric(state, name);
  if (state.weight_decay_mode) body.weight_decay_mode = state.weight_decay_mode;
  if (state.form && state.parameterization === "mup") body.form = state.form;
  if (state.model !== "roles") body.model = modelFor(state);
  if (state.model === "files") {
    if (state.layout) body.layout = state.layout;
    for (const [end, size] of [["base", base], ["target", target]]) if (state[`file_${end}_width`]) size.width = numeric(state, `file_${end}_width`);
  }
  const rules = rulesFor(state, read);
  if (Object.keys(rules).length > 0) body.rules = rules;
  if (compared) {
    for (const [name, field] of Object.entries(COMPARED)) if (state[field]) body[name] = state[field];
    if (body.parameterization !== state.parameterization) delete body.form; // it is one of muP's
    if (body.optimizer !== state.optimizer) delete body.block_size;
  }
  return body;
}

/** The problems of an error, each { field, message } in the words of the page; a field is null if none is to blame. */
export function problemsOf(error, state, compared = false) {
  if (error instanceof Unreadable) return [{ field: error.field, message: error.message }];
  const errors = error.errors?.length > 0 ? error.errors : [{ message: error.message }];
  return errors.map((each) => {
    const path = (each.pointer?.replace(/^#\//, "").replaceAll("/", ".") ?? each.field ?? "");
    const field = fieldOf(path, state, compared);
    return { field, message: sentence(each, field) };
  });
}

function fieldOf(path, state, compared) {
  for (let part = path; part; part = part.includes(".") ? part.slice(0, part.lastIndexOf(".")) : "") {
    let field = FIELDS[part];
    if (!field) continue;
    if (compared && COMPARED[part] && state[COMPARED[part]]) field = COMPARED[part];
    if (state.model === "files") field = OF_FILES[field] ?? field;
    if (state.model === "architecture") field = OF_ARCHITECTURE[field] ?? field;
    return state.model === "roles" && field === "base_file" ? null : field;
  }
  return null;
}

const PATHS = Object.keys(FIELDS).filter((path) => path.includes(".")).sort((one, other) => other.length - one.length);

/** An error's message with the page's names of fields instead of paths. */
function sentence({ message, value }, field) {
  let text = message;
  for (const path of PATHS) text = text.replaceAll(path, `“${labelOf(FIELDS[path])}”`);
  if (field && text.startsWith("It ")) text = `${labelOf(field)}${text.slice(2)}`;
  const given = value === undefined || value === null || typeof value === "object" ? "" : `, not ${value}`;
  return `${text[0].toUpperCase()}${text.slice(1)}${given}${/[.!?]$/.test(text + given) ? "" : "."}`;
}
