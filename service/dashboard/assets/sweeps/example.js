// A made-up sweep for a first try: a formula's losses at four widths and two training lengths, and no measurement.

const WIDTHS = [128, 256, 512, 1024];
const TOKENS = [2.5e8, 1e9];
const SEEDS = [0, 1];
const NOISE = 0.0015; // nats, as between the seeds of small language models

/** A number between −1 and 1 that looks random and is the same each time (a linear congruential generator). */
function noise() {
  let state = 1;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 31 - 1;
  };
}

/** The sweep as a CSV. */
export function exampleTable() {
  const random = noise();
  const lines = ["d_model,tokens,lr,seed,val_loss"];
  for (const width of WIDTHS) {
    for (const tokens of TOKENS) {
      const scatter = 0.15 * random();
      const best = Math.log2(0.004) - 0.8 * Math.log2(width / 256) - 0.25 * Math.log2(tokens / 1e9) + scatter;
      const lowest = 2.2 + 1.6 * (width / 128) ** -0.3 + 0.3 * (tokens / 1e9) ** -0.25;
      for (let step = -2; step <= 3; step += 1) {
        const rate = 2 ** (Math.round(best) + step);
        const away = Math.log2(rate) - best;
        const rise = 0.024 * 4 * (Math.exp(away / 2) - 1 - away / 2);
        for (const seed of SEEDS) {
          const loss = away > 2.5 ? "nan" : (lowest + rise + NOISE * random()).toFixed(4);
          lines.push([width, tokens, rate.toPrecision(4), seed, loss].join(","));
        }
      }
    }
  }
  return `${lines.join("\n")}\n`;
}
