// A plan as rows: one for each role, or for all tensors of one name over the layers that get the same.

export const QUANTITIES = {
  learning_rate: "Learning rate", epsilon: "Epsilon", init_std: "Init std", forward_multiplier: "Multiplier", weight_decay: "Weight decay",
};
export const NAMES = Object.keys(QUANTITIES);
/** The entry of each quantity in the guide's glossary. */
export const TERMS = {
  learning_rate: "learning-rate", epsilon: "epsilon", init_std: "init-std", forward_multiplier: "forward-multiplier", weight_decay: "weight-decay",
};

/** The rows of a plan: { key, role, label, names, quantities, reason }. */
export function rowsOf(plan) {
  if (plan.tensors.length === 0) return plan.layers.map((layer) => ({ key: layer.role, role: layer.role, label: layer.role, names: [], quantities: layer, reason: layer.reason }));
  const rows = new Map();
  for (const tensor of plan.tensors) {
    const pattern = tensor.name.replace(/\d+/g, "*");
    const key = `${pattern} ${tensor.role} ${NAMES.map((name) => tensor[name]?.multiplier).join(" ")}`;
    const row = rows.get(key) ?? { key, role: tensor.role, label: tensor.name, names: [], quantities: tensor, reason: tensor.reason };
    row.names.push(tensor.name);
    if (row.names.length > 1) row.label = pattern;
    rows.set(key, row);
  }
  const seen = new Map(); // the same name may get different values in some layers: the key then counts
  return [...rows.values()].map((row) => {
    const base = `${row.label} ${row.role}`;
    const turn = seen.get(base) ?? 0;
    seen.set(base, turn + 1);
    return { ...row, key: turn === 0 ? base : `${base} ${turn}` };
  });
}

/** Whether two quantities differ by more than rounding. */
export function differs(one, other) {
  if (!one || !other) return one !== other && Boolean(one || other);
  const far = (a, b) => Math.abs(a - b) > 1e-9 * Math.max(Math.abs(a), Math.abs(b));
  return far(one.multiplier, other.multiplier) || (one.value !== null && other.value !== null && far(one.value, other.value));
}

/** What the quantity was at the base; null where the base gave none. */
export function baseOf(quantity) {
  return quantity.value === null || quantity.multiplier === 0 ? null : quantity.value / quantity.multiplier;
}
