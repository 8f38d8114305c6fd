// The body of a transfer, from what the fields hold; and the field that an error of the service is about.

import { alignmentNames } from "/assets/shared/alignment.js";
import { BY_ROLE, ROLES, VALUES, applies, labelOf } from "/assets/calculator/fields.js";
import { configOf, modelOf, multipliersOf, rolesOf } from "/assets/calculator/models.js";
import { Unreadable, numeric, required } from "/assets/calculator/reading.js";
import { ruleFields, rulesOf } from "/assets/calculator/rules.js";
import { exponentsOf } from "/assets/calculator/sources.js";

const OF_ANY = ["attention_scale"]; // sizes of both ends that any model may state, and those that a described one has itself
const OF_ROLES = ["head_dim", "output_dimension"];

/** By the path of a request: the field that holds its value. */
const FIELDS = {
  "base.width": "base_width", "base.depth": "base_depth", "base.batch_tokens": "base_batch", "base.tokens": "base_tokens",
  "base.learning_rate": "learning_rate", "base.epsilon": "epsilon", "base.weight_decay": "weight_decay", "base.init_std": "init_std",
  "base.beta1": "beta1", "base.beta2": "beta2", "base.steps": "base_steps", "base.warmup_steps": "warmup_steps", "base.cooldown_steps": "cooldown_steps", "base.cooldown_share": "cooldown_share", "base.gradient_rms": "gradient_rms",
  ...Object.fromEntries(BY_ROLE.flatMap((name) => ROLES.map((role) => [`base.${name}.${role}`, `${name}_${role}`]))),
  ...Object.fromEntries(["experts", "active_experts", "shared_experts", "rank", "lora_alpha", "parameters", ...OF_ANY, ...OF_ROLES].flatMap((name) => ["base", "target"].map((end) => [`${end}.${name}`, `${end}_${name}`]))),
  "target.steps": "target_steps",
  "target.width": "target_width", "target.depth": "target_depth", "target.batch_tokens": "target_batch", "target.tokens": "target_tokens",
  parameterization: "parameterization", optimizer: "optimizer", alignment: "alignment", "exponents.id": "exponents", readout_omega: "readout_omega", form: "form", weight_decay_mode: "weight_decay_mode", block_size: "block_size",
  "model.base": "base_file", "model.target": "target_file", "model.roles": "roles", tensors: "base_file", layout: "layout", qk_norm: "qk_norm", code_multipliers: "code_multipliers",
};
/** By the same path: the field of the prescription that the first is compared with. */
const COMPARED = { parameterization: "compare_parameterization", optimizer: "compare_optimizer", alignment: "compare_alignment" };
const OF_FILES = { base_width: "file_base_width", target_width: "file_target_width" };
const OF_ARCHITECTURE = { base_file: "base_width", target_file: "target_width", base_head_dim: "head_dim", target_head_dim: "head_dim" };

const alignmentPaths = (name) => Object.entries(alignmentNames(name)).map(([path, field]) => [`alignment.${path}`, field]);

/** The same for a state: what its choices bring, and what the second prescription says for itself. */
function fieldsFor(state, compared) {
  const own = compared ? Object.entries(COMPARED).filter(([, field]) => state[field]) : [];
  const alignment = own.some(([name]) => name === "alignment") ? COMPARED.alignment : "alignment";
  return { ...FIELDS, ...ruleFields(state), ...Object.fromEntries([...own, ...alignmentPaths(alignment)]) };
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

/** By what brings them onto the page: sizes of both ends, and values of the base. What is left empty, the service asks for if it needs it. */
const OPTIONAL_SIZES = {
  batch: [[], ["beta1", "beta2"]],
  parameters: [["parameters"], []],
  steps: [["steps"], ["warmup_steps", "cooldown_steps", "cooldown_share"]],
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

/** The alignment that a list says: its word, or the exponents that were measured. */
function alignmentOf(state, name) {
  if (state[name] !== "measured") return state[name];
  const numbers = {};
  for (const [path, field] of Object.entries(alignmentNames(name))) {
    const [role, exponent] = path.split(".");
    numbers[role] = { ...numbers[role], [exponent]: required(state, field) };
  }
  return numbers;
}

/** The body of a transfer. `compared` asks for the prescription that the first is compared with. Throws Unreadable. */
export function bodyOf(state, compared = false) {
  const holds = applies(state);
  const base = {};
  const target = {};
  for (const name of VALUES) {
    const tuned = tunedValue(state, name);
    if (tuned !== undefined) base[name] = tuned;
  }
  const constants = ROLES.filter((role) => state[`gamma_${role}`]);
  if (constants.length > 0) base.gamma = Object.fromEntries(constants.map((role) => [role, numeric(state, `gamma_${role}`)]));
  const sizes = { width: state.model === "roles", depth: state.model === "roles" && holds("depth"), batch: holds("batch"), tokens: holds("tokens") };
  for (const name of Object.keys(sizes).filter((each) => sizes[each])) {
    const field = name === "batch" ? "batch_tokens" : name;
    base[field] = required(state, `base_${name}`);
    target[field] = required(state, `target_${name}`);
  }
  const optional = Object.entries(OPTIONAL_SIZES).filter(([need]) => holds(need)).map(([, names]) => names);
  for (const [ofBoth, ofBase] of [...optional, [state.model === "roles" ? [...OF_ANY, ...OF_ROLES] : OF_ANY, ["gradient_rms"]]]) {
    for (const name of ofBase) if (state[name]) base[name] = numeric(state, name);
    for (const name of ofBoth) {
      if (state[`base_${name}`]) base[name] = numeric(state, `base_${name}`);
      if (state[`target_${name}`]) target[name] = numeric(state, `target_${name}`);
    }
  }
  const body = { parameterization: state.parameterization, optimizer: state.optimizer, base, target };
  body.alignment = alignmentOf(state, compared && state[COMPARED.alignment] ? COMPARED.alignment : "alignment");
  if (state.exponents && !compared) body.exponents = exponentsOf(state.exponents);
  for (const name of ["readout_omega", "block_size"]) if (state[name] && (name !== "block_size" || holds(name))) body[name] = numeric(state, name);
  if (state.weight_decay_mode) body.weight_decay_mode = state.weight_decay_mode;
  if (state.form && state.parameterization === "mup") body.form = state.form;
  if (state.model !== "roles") body.model = modelFor(state);
  if (state.qk_norm) body.qk_norm = true;
  if (state.code_multipliers) body.code_multipliers = readable(state, "code_multipliers", multipliersOf);
  if (state.model === "files") {
    if (state.layout) body.layout = state.layout;
    for (const [end, size] of [["base", base], ["target", target]]) if (state[`file_${end}_width`]) size.width = numeric(state, `file_${end}_width`);
  }
  const rules = rulesOf(state);
  if (Object.keys(rules).length > 0) body.rules = rules;
  if (compared) {
    for (const name of ["parameterization", "optimizer"]) if (state[COMPARED[name]]) body[name] = state[COMPARED[name]];
    if (body.parameterization !== state.parameterization) delete body.form; // it is one of muP's
    if (body.optimizer !== state.optimizer) delete body.block_size;
  }
  return body;
}

/** The problems of an error, each { field, message } in the words of the page; a field is null if none is to blame. */
export function problemsOf(error, state, compared = false) {
  if (error instanceof Unreadable) return [{ field: error.field, message: error.message }];
  const errors = error.errors?.length > 0 ? error.errors : [{ message: error.message }];
  const fields = fieldsFor(state, compared);
  return errors.map((each) => {
    const path = (each.pointer?.replace(/^#\//, "").replaceAll("/", ".") ?? each.field ?? "");
    const field = fieldOf(path, state, fields);
    return { field, message: sentence(each, field, fields) };
  });
}

function fieldOf(path, state, fields) {
  for (let part = path; part; part = part.includes(".") ? part.slice(0, part.lastIndexOf(".")) : "") {
    let field = fields[part];
    if (!field) continue;
    if (state.model === "files") field = OF_FILES[field] ?? field;
    if (state.model === "architecture") field = OF_ARCHITECTURE[field] ?? field;
    return state.model === "roles" && field === "base_file" ? null : field;
  }
  return null;
}

/** An error's message with the page's names of fields instead of paths. */
function sentence({ message, value }, field, fields) {
  let text = message;
  const paths = Object.keys(fields).filter((path) => path.includes(".")).sort((one, other) => other.length - one.length);
  for (const path of paths) text = text.replaceAll(path, `“${labelOf(fields[path])}”`);
  if (field && text.startsWith("It ")) text = `${labelOf(field)}${text.slice(2)}`;
  const given = value === undefined || value === null || typeof value === "object" ? "" : `, not ${value}`;
  return `${text[0].toUpperCase()}${text.slice(1)}${given}${/[.!?]$/.test(text + given) ? "" : "."}`;
}
