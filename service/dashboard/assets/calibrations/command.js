// The command line that starts the same calibration.

const LISTS = ["widths", "learning_rates", "measure", "horizons"];
const FLAGS = ["early_stopping", "qk_norm", "tied"];
const WITHOUT_OPTION = ["runner", "probe_learning_rate", "atan2"]; // a file states them

const quoted = (text) => (/^[\w.,:/+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function option(name, value) {
  const word = name.replaceAll("_", "-");
  if (FLAGS.includes(name)) return value ? `--${word}` : `--no-${word}`;
  return `--${word} ${quoted(LISTS.includes(name) ? value.join(",") : String(value))}`;
}

/** The command for a body: with options, or with a file if the options can't say all of it. */
export function commandFor(body) {
  const { parameterization, optimizer, proxy = {}, ...others } = body;
  const all = Object.entries({ ...others, ...proxy });
  const isPlain = all.every(([name, value]) => !WITHOUT_OPTION.includes(name) && (LISTS.includes(name) ? Array.isArray(value) : typeof value !== "object"));
  if (!isPlain) return "widthwise calibrate spec.json";
  return ["widthwise calibrate", `-p ${quoted(String(parameterization))}`, `-o ${quoted(String(optimizer))}`, ...all.map(([name, value]) => option(name, value))].join(" ");
}
