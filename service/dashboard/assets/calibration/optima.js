// The best learning rate over width: the optima, the laws that were compared, and how far they reach.

import { lengthOf, logTicks, logarithmic, widthTicks } from "/assets/shared/axes.js";
import { draw, make } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { interval, number } from "/assets/shared/numbers.js";
import { pointing } from "/assets/shared/pointing.js";
import { BOTTOM, HEIGHT, around, arrow, circle, diamond, keyOf, line, px, shade } from "/assets/calibration/marks.js";

const RIGHT = 12;
const TOP = 22;
const BESIDE = 0.4; // octaves of width beyond the first and the last mark
const LEAST_OCTAVES = 1.0; // above and below the optima (chosen), or noise would look like a law: as in print
const REACH = 3; // octaves (chosen): an interval may be so wide that nothing else could be told apart
const TITLES = ["width", "best base learning rate"];
const STROKES = { none: "", shift: "dashed", power: "dotted" };

export function optimaPicture() {
  const svg = draw("svg", { role: "img", height: HEIGHT });
  const box = make("div", { class: "plotted", tabindex: 0, role: "group", "aria-label": "Optima and predictions: the arrow keys lead from one to the next" }, svg);
  const key = make("ul", { class: "marks" });
  let fit = null;
  let planned = []; // widths
  let targets = [];
  const repoint = pointing(box, () => targets);

  function show() {
    const size = box.clientWidth;
    if (size === 0 || !fit) return;
    const found = fit.widths.filter((each) => each.optimum);
    svg.setAttribute("viewBox", `0 0 ${size} ${HEIGHT}`);
    targets = [];
    svg.replaceChildren(...(found.length ? drawn(found, placed(found, size)) : empty(size)));
    morph(key, keyOf(marks(found)));
    svg.setAttribute("aria-label", summary(found));
    repoint();
  }

  function empty(size) {
    const frame = { left: 28, right: size - RIGHT, top: TOP, bottom: HEIGHT - BOTTOM };
    const x = logarithmic(planned[0] * 2 ** -BESIDE, planned.at(-1) * 2 ** BESIDE, frame.left, frame.right);
    return [
      ...around(frame, x, widthTicks(x.low, x.high, frame.right - frame.left), null, [], TITLES),
      draw("rect", { class: "frame", x: frame.left, y: frame.top, width: frame.right - frame.left, height: frame.bottom - frame.top }),
      draw("text", { x: px((frame.left + frame.right) / 2), y: HEIGHT / 2, "text-anchor": "middle" }, fit.widths.length ? "No width has an optimum yet" : "No run has ended yet"),
    ];
  }

  function placed(found, size) {
    const ahead = fit.predictions.at(-1);
    const [least, most] = [found[0].width, Math.max(found.at(-1).width, ahead?.width ?? 0)];
    const at = found.map(({ optimum }) => Math.log2(optimum.bound ?? optimum.learning_rate));
    const middle = [...at].sort((one, other) => one - other)[Math.floor(at.length / 2)];
    const ends = [...at, ...(ahead ? [ahead.learning_rate, ...(ahead.interval ?? [])].map(Math.log2) : [])];
    const reach = Math.max(REACH, Math.max(...ends) - Math.min(...ends));
    for (const end of found.flatMap(({ optimum }) => optimum.interval ?? []).map(Math.log2)) ends.push(Math.min(Math.max(end, middle - reach), middle + reach));
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const margin = Math.max(0.1 * (high - low), LEAST_OCTAVES - (high - low) / 2, 0.2);
    const bottom = HEIGHT - BOTTOM;
    const y = logarithmic(2 ** (low - margin), 2 ** (high + margin), bottom, TOP);
    const yTicks = logTicks(y.low, y.high, bottom - TOP, true);
    const left = 12 + Math.max(lengthOf(yTicks), 16);
    const right = size - RIGHT;
    const x = logarithmic(least * 2 ** -BESIDE, most * 2 ** BESIDE, left, right);
    return { x, y, frame: { left, right, top: TOP, bottom }, xTicks: widthTicks(x.low, x.high, right - left), yTicks };
  }

  function drawn(found, { x, y, frame, xTicks, yTicks }) {
    const rim = [...fit.band.map((each) => [x(each.width), y(each.high)]), ...fit.band.map((each) => [x(each.width), y(each.low)]).reverse()];
    const laws = [...fit.lines].sort((one, other) => one.chosen - other.chosen); // the chosen one is drawn last
    return [
      ...around(frame, x, xTicks, y, yTicks, TITLES),
      draw("rect", { class: "frame", x: frame.left, y: frame.top, width: frame.right - frame.left, height: frame.bottom - frame.top }),
      draw("clipPath", { id: "optima-frame" }, draw("rect", { x: frame.left, y: frame.top, width: frame.right - frame.left, height: frame.bottom - frame.top })),
      draw("g", { "clip-path": "url(#optima-frame)" },
        rim.length ? draw("path", { class: "band", d: `${line(rim)}Z` }) : null,
        ...laws.map((law) => draw("path", { class: `law ${law.chosen ? "chosen" : STROKES[law.law]}`, d: line(law.points.map((each) => [x(each.width), y(each.learning_rate)])) })),
        ...found.map((each) => optimum(each, x, y, frame)),
        ...fit.predictions.map((each) => prediction(each, x, y, frame)),
      ),
    ];
  }

  function span(at, ends, y, frame, size) {
    const [low, high] = ends.map(y);
    const caps = [low, high].filter((end) => end >= frame.top && end <= frame.bottom).map((end) => `M${px(at - size)} ${px(end)}h${2 * size}`).join("");
    return draw("path", { class: "span", d: `M${px(at)} ${px(Math.min(low, frame.bottom))}V${px(Math.max(high, frame.top))}${caps}` });
  }

  function optimum(each, x, y, frame) {
    const { learning_rate: rate, bound, kind, interval: ends, next_to_divergence: beside } = each.optimum;
    const [cx, cy] = [x(each.width), y(bound ?? rate)];
    targets.push({
      key: `optimum ${each.width}`, row: 0, x: cx, y: cy,
      lines: () => (ends ? [`width ${each.width}`, `best learning rate ${number(rate)}`, `95 %: ${interval(ends)}`] : [`width ${each.width}`, each.remark]),
    });
    const colour = shade(each.width, planned);
    if (each.edge) {
      const [shaft, head] = arrow(cx, cy, 0, kind === "upper_bound" ? 1 : -1);
      return draw("g", { class: colour }, draw("path", { class: `bound ${each.edge}`, d: shaft }), draw("path", { class: "bound", d: head }));
    }
    return draw("g", { class: colour }, ends ? span(cx, ends, y, frame, 5) : null, draw("path", { class: beside ? "optimum hollow" : "optimum", d: diamond(cx, cy) }));
  }

  function prediction(each, x, y, frame) {
    const [cx, cy] = [x(each.width), y(each.learning_rate)];
    targets.push({
      key: `prediction ${each.width}`, row: 1, x: cx, y: cy,
      lines: () => [`width ${each.width} (×${multiple(each)})`, `${number(each.learning_rate, 3)} predicted`, each.interval ? `95 %: ${interval(each.interval)}` : "no interval: it takes three widths", ...(each.ceiling === null ? [] : ["held below a divergence"])],
    });
    return draw("g", { class: "predicted" }, each.interval ? span(cx, each.interval, y, frame, 4) : null, draw("circle", { cx: px(cx), cy: px(cy), r: 4 }));
  }

  /** How many times as wide as the largest width that has an optimum. */
  function multiple(prediction) {
    return prediction.width / Math.max(...fit.optima.map((each) => each.width));
  }

  function marks(found) {
    return [
      found.some((each) => each.optimum.interval && !each.optimum.next_to_divergence) && ["optimum", diamond(12, 6, 5), "optimum, 95 %"],
      found.some((each) => each.optimum.next_to_divergence && each.optimum.interval) && ["optimum hollow", diamond(12, 6, 5), "optimum next to a divergence"],
      found.some((each) => each.edge === "final") && ["bound", arrow(2, 6, 1, 0).join(""), "optimum beyond this bound"],
      found.some((each) => each.edge === "provisional") && ["bound provisional", arrow(2, 6, 1, 0).join(""), "beyond this bound, so far"],
      ...fit.lines.map((law) => [`law ${law.chosen ? "chosen" : STROKES[law.law]}`, "M1 6H23", `${law.name}${law.chosen ? " (chosen)" : ""}`]),
      fit.predictions.length && ["predicted", circle(12, 6), `predicted at ${fit.predictions.map((each) => `×${multiple(each)}`).join(", ")}`],
      fit.band.length && ["band", "M2 1H22V11H2Z", "95 % of a prediction"],
    ].filter(Boolean);
  }

  function summary(found) {
    const best = found.map((each) => `${each.width}: ${each.optimum.interval ? `${number(each.optimum.learning_rate, 3)} (${interval(each.optimum.interval)})` : each.remark}`);
    const ahead = fit.predictions.map((each) => `${each.width}: ${number(each.learning_rate, 3)}`);
    return `Best learning rate over width. ${fit.choice.sentence}.${best.length ? ` By width: ${best.join("; ")}.` : ""}${ahead.length ? ` Predicted: ${ahead.join("; ")}.` : ""}`;
  }

  new ResizeObserver(show).observe(box);
  return { nodes: [box, key], multiple, plan(widths) { planned = widths; }, fitted(next) { fit = next; show(); } };
}
