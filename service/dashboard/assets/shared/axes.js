// Axes: from numbers to pixels, and round numbers to mark, with labels that do not touch at any range.

const LABELLED = [[1, 2, 5], [1, 5], [1, 2], [1]]; // of each decade, from dense to sparse
const LETTER = 6.6; // pixels of a letter at the size of a picture's text
const LINE = 13; // pixels that a label needs where labels stand above each other
const GAP = 9; // pixels between two labels at least (chosen)
const CLOSE = 7; // pixels between two marks at least (chosen)
const STEPS = [1, 2, 5, 10];

/** From values between `low` and `high` to pixels between `from` and `to`. */
export function linear(low, high, from, to) {
  const at = (value) => from + ((to - from) * (value - low)) / (high - low);
  return Object.assign(at, { low, high });
}

/** The same for positive values, of which equal ratios are equally far apart. */
export function logarithmic(low, high, from, to) {
  const place = linear(Math.log2(low), Math.log2(high), from, to);
  return Object.assign((value) => place(Math.log2(value)), { low, high });
}

/** A number in few letters: 2e-3, 0.05, 512. */
export function short(value) {
  if (value >= 0.01 && value < 1e5) return String(Number(value.toPrecision(4)));
  return value.toExponential(2).replace(/\.?0*e\+?/, "e");
}

function fits(values, low, high, pixels, upright, words = short) {
  const labels = values.map(words);
  if (new Set(labels).size < labels.length) return false;
  const perOctave = pixels / Math.log2(high / low);
  const size = (label) => (upright ? LINE : label.length * LETTER + GAP);
  return values.every((value, k) => k === 0 || Math.log2(value / values[k - 1]) * perOctave > (size(labels[k]) + size(labels[k - 1])) / 2);
}

const digitOf = (value) => Number(value.toExponential(0)[0]);

/** Which of the marks get a label: as dense a regular choice as fits, or two, or one. */
function labelled(values, fit) {
  for (const digits of LABELLED) {
    const found = values.filter((value) => digits.includes(digitOf(value)));
    if (found.length > 1 && fit(found)) return found;
  }
  const tens = values.filter((value) => digitOf(value) === 1);
  for (let step = 2; step < tens.length; step++) {
    const found = tens.filter((_, k) => k % step === 0);
    if (fit(found)) return found;
  }
  const ends = [values[0], values.at(-1)];
  return fit(ends) ? ends : [tens[0] ?? values[0]];
}

const tick = (at, label) => ({ at, label });

/** A round step, 1, 2 or 5 times a power of ten, that makes at most `most` steps of a span. */
export function stepOf(span, most) {
  const power = 10 ** Math.floor(Math.log10(span / most));
  return STEPS.map((digit) => digit * power).find((step) => step * most >= span * (1 - 1e-9));
}

function between(low, high, step) {
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) values.push(Number((k * step).toPrecision(12)));
  return values;
}

/** Marks of a logarithmic axis: 1-2-5 of each decade; where fewer than two are in sight, multiples of a round step. */
export function logTicks(low, high, pixels, upright = false) {
  const fit = (values) => fits(values, low, high, pixels, upright);
  const values = [];
  for (let decade = Math.floor(Math.log10(low)); 10 ** decade <= high; decade++) {
    for (const digit of [1, 2, 5]) {
      const value = Number(`${digit}e${decade}`);
      if (value >= low && value <= high) values.push(value);
    }
  }
  if (values.length < 2) {
    for (let most = 5; most > 0; most--) {
      const found = between(low, high, stepOf(high - low, most));
      if (found.length && fit(found)) return found.map((value) => tick(value, short(value)));
    }
    return values.map((value) => tick(value, short(value)));
  }
  const words = labelled(values, fit);
  const crowded = (Math.log2(values[1] / values[0]) * pixels) / Math.log2(high / low) < CLOSE;
  return (crowded ? words : values).map((value) => tick(value, words.includes(value) ? short(value) : ""));
}

/** Marks of an axis of widths: powers of two, four, … until their labels fit. */
export function widthTicks(low, high, pixels) {
  const powers = between(Math.ceil(Math.log2(low)), Math.log2(high), 1).map((power) => 2 ** power);
  for (let step = 1; step <= powers.length; step++) {
    const found = powers.filter((_, k) => k % step === 0);
    if (fits(found, low, high, pixels, false, String)) return found.map((value) => tick(value, String(value)));
  }
  return logTicks(low, high, pixels);
}

/** Marks of a linear axis, all with as many decimals as their step needs. */
export function linearTicks(low, high, pixels) {
  const step = stepOf(high - low, Math.max(2, Math.floor(pixels / (2.4 * LINE))));
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const label = (value) => (decimals > 6 || Math.abs(value) >= 1e6 ? short(value) : value.toFixed(decimals));
  return between(low, high, step).map((value) => tick(value, label(value)));
}

/** The pixels that the longest label needs. */
export const lengthOf = (ticks) => Math.max(0, ...ticks.map(({ label }) => label.length * LETTER));

/** At most so many round values between two positive ones, for small pictures: 1-2-5 within few decades, else decades. */
export function fewLogTicks(low, high, most) {
  for (const within of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let decade = Math.floor(Math.log10(low)); 10 ** decade <= high; decade++) {
      for (const digit of within) {
        const value = Number(`${digit}e${decade}`);
        if (value >= low * 0.9999 && value <= high * 1.0001) ticks.push(value);
      }
    }
    if (ticks.length <= most && ticks.length > 1) return ticks;
  }
  if (high / low < 10) return fewTicks(low, high, most).filter((value) => value > 0);
  const decades = Math.ceil(Math.log10(high / low) / most);
  const first = Math.ceil(Math.log10(low) / decades) * decades;
  return Array.from({ length: most + 1 }, (_, index) => Number(`1e${first + index * decades}`)).filter((value) => value <= high);
}

/** The same for equal steps. */
export function fewTicks(low, high, most) {
  return between(low, high, stepOf(high - low, most));
}
