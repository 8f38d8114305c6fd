// Models as a transfer takes them: the config.json of a described architecture, or what a reader's file holds.

import { ROLES } from "/assets/calculator/fields.js";

const HEADER_LENGTH_BYTES = 8; // a .safetensors file begins with its header's length
const LARGEST_HEADER = 100_000_000; // bytes: the format's bound

const heads = ({ width, head }) => Math.max(1, Math.round(width / head));
const common = (model) => ({
  hidden_size: model.width, num_hidden_layers: model.depth, num_attention_heads: heads(model), intermediate_size: Math.round(model.ratio * model.width),
});

const worded = (model) => ({ ...common(model), vocab_size: model.vocabulary });

/** By model_type: its config.json at a size. */
const CONFIGS = {
  llama: worded,
  qwen3: (model) => ({ ...worded(model), num_key_value_heads: heads(model), head_dim: model.head }),
  gpt2: (model) => ({ n_embd: model.width, n_layer: model.depth, n_head: heads(model), n_inner: Math.round(model.ratio * model.width), vocab_size: model.vocabulary }),
  gpt_neox: worded,
  bert: worded,
  vit: common,
};

/** The config.json of an architecture at a size. */
export function configOf(kind, size) {
  return { model_type: kind, ...CONFIGS[kind](size) };
}

/** What a text describes: a config.json, names with shapes, or a header of safetensors. Throws an Error that says what is wrong. */
export function modelOf(text) {
  const found = text.trimStart().startsWith("{") ? parsed(text) : { shapes: shapeLines(text) };
  if (found.model_type || found.shapes) return found;
  const tensors = Object.entries(found).filter(([name]) => name !== "__metadata__");
  const shapes = tensors.map(([name, each]) => [name, Array.isArray(each) ? each : each?.shape]);
  if (tensors.length > 0 && shapes.every(([, shape]) => Array.isArray(shape))) return { shapes: Object.fromEntries(shapes) };
  throw new Error("is JSON with neither a model_type nor shapes; paste a config.json, or lines such as “embed.weight: 32000 256”");
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`is not JSON: ${error.message}`);
  }
}

function shapeLines(text) {
  return Object.fromEntries(lines(text).map((line) => {
    const [, name, sizes] = /^([^\s:]+)\s*[:\s]\s*[[(]?([\d\s,x×]*)[\])]?$/.exec(line) || [];
    if (!name) throw new Error(`has the line “${line}”; write a name and its sizes, such as “embed.weight: 32000 256”`);
    return [name, (sizes.match(/\d+/g) || []).map(Number)];
  }));
}

/** Roles by pattern of names, from lines such as “embed.*: embedding”. */
export function rolesOf(text) {
  return Object.fromEntries(lines(text).map((line) => {
    const [, pattern, role] = /^([^\s:]+)\s*[:\s]\s*(\w+)$/.exec(line) || [];
    if (!pattern) throw new Error(`has the line “${line}”; write a pattern and a role, such as “embed.*: embedding”`);
    return [pattern, role];
  }));
}

/** Multipliers of the model's code, from lines such as “embedding: fan_out^0.5” or “head.weight: fan_in^-1, forward only”. */
export function multipliersOf(text) {
  return lines(text).map((line) => {
    const [, names, of, power, rest] = /^([^:]+?)\s*:\s*(fan_in|fan_out)\s*\^\s*([-−]?[\d.]+)\s*(.*)$/.exec(line) || [];
    const words = rest?.split(",").map((word) => word.trim()).filter(Boolean) ?? [];
    if (!names || !words.every((word) => ["forward only", "frozen"].includes(word))) {
      throw new Error(`has the line “${line}”; write a role or tensors, and a power of fan_in or fan_out, such as “embedding: fan_out^0.5” (then “, forward only” or “, frozen”)`);
    }
    return {
      ...(ROLES.includes(names) ? { role: names } : { tensors: names.split(/[\s,]+/) }), of, power: Number(power.replace("−", "-")),
      ...(words.includes("forward only") ? { backward: false } : {}), ...(words.includes("frozen") ? { frozen: true } : {}),
    };
  });
}

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

/** The text of a reader's file: of a .safetensors file its header alone, without a byte of the weights. */
export async function textOf(file) {
  if (!file.name.endsWith(".safetensors")) return file.text();
  const length = Number(new DataView(await file.slice(0, HEADER_LENGTH_BYTES).arrayBuffer()).getBigUint64(0, true));
  if (length > LARGEST_HEADER || length + HEADER_LENGTH_BYTES > file.size) throw new Error(`${file.name} is not a .safetensors file`);
  const header = modelOf(await file.slice(HEADER_LENGTH_BYTES, HEADER_LENGTH_BYTES + length).text());
  return Object.entries(header.shapes).map(([name, shape]) => `${name}: ${shape.join(" ")}`).join("\n");
}
