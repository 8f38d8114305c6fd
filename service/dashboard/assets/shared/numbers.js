// Numbers, intervals and ages as a reader takes them in.

export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(digits - 1).replace(/\.?0*e\+?/, "e") : String(Number(value.toPrecision(digits)));
}

export function interval(pair) {
  return pair ? `${number(pair[0], 3)} to ${number(pair[1], 3)}` : "–";
}

export function ago(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}

/** An exponent as the power of the width that a quantity follows. */
export function power(exponent) {
  return exponent === 0 ? "constant" : `∝ width^${number(-exponent, 3).replace("-", "−")}`;
}
