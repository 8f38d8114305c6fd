// Loss over learning rate, or over γ: a mark for each run, a curve for each width, and the optimum that was fitted to it.
//
// Thousands of runs are a few paths: one for each width and kind, whose dots are segments without length, with round caps.

import { lengthOf, linear, linearTicks, logTicks, logarithmic, stepOf } from "/assets/shared/axes.js";
import { draw, make } from "/assets/shared/elements.js";
import { interval, number } from "/assets/shared/numbers.js";
import { pointing } from "/assets/shared/pointing.js";
import { runsByWidth } from "/assets/calibration/runs.js";
import { BOTTOM, HEIGHT, around, arrow, bar, caret, circle, cross, diamond, dot, line, px, shade } from "/assets/calibration/marks.js";

const RIGHT = 10;
const ROW = 11; // pixels of a row of runs without a loss, above the frame
const ROWS = 120; // pixels of all of them at most
const WORST_SHOWN = 0.25; // losses this share above the worst optimum are out of the frame, or basins look flat (as in print)
const LOOSE = 1.5; // an axis that is this much longer than it has to be stays (chosen): axes that move are hard to read
const PARABOLA = 24; // segments
const LEAST_MARGIN = 0.2; // octaves beyond the rates

/** What losses are drawn over: the member of runs, means and optima; its name in words; the axis. */
export const LEARNING_RATE = { name: "learning_rate", word: "learning rate", axis: "base learning rate" };
export const GAMMA = { name: "gamma", word: "γ", axis: "γ", mark: 1, more: (run) => [`base learning rate ${number(run.learning_rate)}`] };

let pictures = 0; // so far

/**
 * A picture. over: one of the above; of: whose runs they are, in words; height: in pixels; painted: is called after each drawing,
 * with whether more than runs has changed.
 */
export function lossPicture({ over = LEARNING_RATE, of = "", height = HEIGHT, painted }) {
  const svg = draw("svg", { role: "img", height });
  const box = make("div", { class: "plotted", tabindex: 0, role: "group", "aria-label": `Runs${of}: the arrow keys lead from one to the next` }, svg);
  const clip = `losses-frame-${++pictures}`;
  const sweep = runsByWidth(over.name); // each width has what is drawn of it too
  const groups = { back: draw("g"), runs: draw("g"), curves: draw("g"), lost: draw("g"), optima: draw("g") }; // from back to front
  let fit = null;
  let scaled = false;
  let planned = { widths: [], places: [] };
  let axes = null;
  let range = null; // of the losses
  let targets = null;
  let pending = 0;
  let whole = true; // whether everything has to be drawn again
  let refitted = false; // or what was fitted alone
  const hidden = new Set(); // widths

  const repoint = pointing(box, () => targets ?? (targets = allTargets()));

  const fitOf = (width) => fit?.widths.find((each) => each.width === width) ?? null;
  /** What the learning rates of a width are divided by; null if that isn't known. */
  const unit = (width) => (scaled ? fitOf(width)?.law_learning_rate ?? null : 1);

  function change(all) {
    whole ||= all;
    pending ||= requestAnimationFrame(paint);
  }

  function paint() {
    pending = 0;
    const size = box.clientWidth;
    if (size === 0) return; // it is not shown
    const next = layout(size);
    const moved = whole || JSON.stringify(next) !== JSON.stringify(axes?.next);
    if (moved) {
      axes = placed(next);
      frame();
    }
    const more = moved || refitted;
    if (more) curves();
    whole = refitted = false;
    for (const each of sweep.all()) runs(each);
    lost();
    targets = null;
    repoint();
    svg.setAttribute("aria-label", summary());
    painted(more);
  }

  /** The ranges of both axes, and how the room is shared. */
  function layout(size) {
    const all = sweep.all();
    const rates = all.flatMap(({ width, low, high }) => (unit(width) === null ? [] : [low / unit(width), high / unit(width)]));
    if (!scaled) rates.push(...planned.places);
    const [least, most] = rates.length ? [Math.min(...rates), Math.max(...rates)] : [1e-4, 1e-1];
    const margin = 2 ** Math.max(0.05 * Math.log2(most / least), LEAST_MARGIN);
    const rows = all.filter((each) => each.lost.size && !hidden.has(each.width)).map((each) => each.width);
    range = losses(all, range);
    return { size, low: least / margin, high: most * margin, rows, range };
  }

  function losses(all, before) {
    const found = all.filter((each) => each.best < Infinity);
    if (found.length === 0) return null;
    const best = found.map((each) => fitOf(each.width)?.optimum?.loss ?? each.best);
    const bottom = Math.min(...found.map((each) => each.best), ...best);
    const top = Math.min(Math.max(...found.map((each) => each.worst)), Math.max(...best) + WORST_SHOWN * Math.abs(Math.max(...best)));
    const span = Math.max(top - bottom, 1e-6 * Math.abs(top)) || 1;
    if (before && before[0] <= bottom && before[1] >= top && before[1] - before[0] <= LOOSE * span * 1.12) return before;
    const step = stepOf(span * 1.12, 20);
    return [Math.floor((bottom - 0.06 * span) / step) * step, Math.ceil((top + 0.06 * span) / step) * step];
  }

  function placed(next) {
    const row = next.rows.length ? Math.min(ROW, ROWS / next.rows.length) : 0;
    const top = 22 + row * next.rows.length + (row ? 7 : 0);
    const bottom = height - BOTTOM;
    const y = next.range ? linear(next.range[0], next.range[1], bottom, top) : null;
    const yTicks = y ? linearTicks(y.low, y.high, bottom - top) : [];
    const left = 12 + Math.max(lengthOf(yTicks), row ? 7 * String(Math.max(...next.rows)).length : 0, 16);
    const right = next.size - RIGHT;
    const x = logarithmic(next.low, next.high, left, right);
    return { next, row, frame: { left, right, top, bottom }, x, y, xTicks: logTicks(next.low, next.high, right - left), yTicks };
  }

  function frame() {
    const { next, row, frame: at, x, y, xTicks, yTicks } = axes;
    svg.setAttribute("viewBox", `0 0 ${next.size} ${height}`);
    const above = next.rows.length ? "loss (nats); above the frame: runs without one" : "loss (nats)";
    const mark = scaled ? 1 : over.mark;
    groups.back.replaceChildren(
      ...around(at, x, xTicks, y, yTicks, [scaled ? "learning rate ÷ the law's best rate at the width" : over.axis, above]),
      draw("rect", { class: "frame", x: at.left, y: at.top, width: at.right - at.left, height: at.bottom - at.top }),
      ...next.rows.map((width, k) => draw("text", { class: "row", x: at.left - 6, y: px(22 + row * (k + 0.5) + 3.5), "text-anchor": "end" }, row > 7 ? String(width) : "")),
    );
    if (!next.range) groups.back.append(draw("text", { x: px((at.left + at.right) / 2), y: px((at.top + at.bottom) / 2), "text-anchor": "middle" }, nothing()));
    if (mark && next.low < mark && next.high > mark) groups.back.append(draw("line", { class: "upright", x1: px(x(mark)), x2: px(x(mark)), y1: at.top, y2: at.bottom }));
    const all = sweep.all();
    for (const each of all) {
      each.shade = shade(each.width, planned.widths);
      each.dots = draw("path", { class: "runs" });
      each.carets = draw("path", { class: "carets" });
      each.seen = { dots: "", carets: "" };
      each.drawn = 0;
    }
    groups.runs.replaceChildren(...all.filter(isShown).map((each) => draw("g", { class: each.shade }, each.dots, each.carets)));
    if (svg.childNodes.length === 0) svg.append(...Object.values(groups));
  }

  const isShown = (each) => !hidden.has(each.width) && unit(each.width) !== null && axes.y !== null;

  /** Draw what was fitted. */
  function curves() {
    const shown = sweep.all().filter(isShown);
    const { frame: at } = axes;
    groups.curves.replaceChildren(
      draw("clipPath", { id: clip }, draw("rect", { x: at.left, y: at.top, width: at.right - at.left, height: at.bottom - at.top })),
      draw("g", { "clip-path": `url(#${clip})` }, ...shown.map((each) => draw("g", { class: each.shade }, ...curve(each)))),
    );
    groups.optima.replaceChildren(...shown.map((each) => draw("g", { class: each.shade }, ...optimum(each))));
  }

  /** The mean over seeds, and the parabola that was fitted. */
  function curve({ width }) {
    const found = fitOf(width);
    if (!found) return [];
    const { x, y } = axes;
    const place = (rate, loss) => [x(rate / unit(width)), y(loss)];
    const parts = [draw("path", { class: "mean", d: line(found.means.map((mean) => place(mean[over.name], mean.loss))) })];
    const fitted = found.parabola;
    if (fitted) {
      const [low, high] = fitted.window.map(Math.log2);
      const points = Array.from({ length: PARABOLA + 1 }, (_, k) => low + ((high - low) * k) / PARABOLA);
      parts.push(draw("path", { class: "fitted", d: line(points.map((at) => place(2 ** at, fitted.loss + fitted.curvature * (at - fitted.log2_learning_rate) ** 2))) }));
    }
    return parts;
  }

  function optimum({ width }) {
    const found = fitOf(width);
    const { x, y, frame: at } = axes;
    const tried = found?.tried ? [draw("path", { class: found.tried.edge ? "tried hollow" : "tried", d: circle(x(found.tried[over.name]), y(found.tried.loss)) })] : [];
    if (!found?.optimum) return tried;
    const { [over.name]: rate, bound, kind, loss, interval: ends, next_to_divergence: beside } = found.optimum;
    const [cx, cy] = [x((bound ?? rate) / unit(width)), y(loss)];
    if (found.edge) {
      const [shaft, head] = arrow(cx, cy, kind === "upper_bound" ? -1 : 1, 0);
      return [draw("path", { class: `bound ${found.edge}`, d: shaft }), draw("path", { class: "bound", d: head }), ...tried];
    }
    const parts = tried;
    if (ends) {
      const [low, high] = ends.map((end) => x(end / unit(width)));
      const caps = [low, high].filter((end) => end >= at.left && end <= at.right).map((end) => bar(end, cy, 5)).join("");
      parts.push(draw("path", { class: "span", d: `M${px(Math.max(low, at.left))} ${px(cy)}H${px(Math.min(high, at.right))}${caps}` }));
    }
    return [...parts, draw("path", { class: beside ? "optimum hollow" : "optimum", d: diamond(cx, cy) })];
  }

  /** Draw the runs of a width that are not drawn yet. */
  function runs(each) {
    const ratio = unit(each.width);
    if (!each.dots || hidden.has(each.width) || ratio === null || !axes.y || each.drawn === each.order.length) return;
    const { x, y } = axes;
    const added = { dots: [], carets: [] };
    for (const run of each.order.slice(each.drawn)) {
      if (run.loss === null || sweep.isLost(run, each)) continue;
      const at = x(run[over.name] / ratio);
      if (run.loss > y.high) added.carets.push(caret(at, axes.frame.top));
      else added.dots.push(dot(at, y(run.loss)));
    }
    each.drawn = each.order.length;
    for (const kind of ["dots", "carets"]) {
      if (added[kind].length === 0) continue;
      each.seen[kind] += added[kind].join("");
      each[kind].setAttribute("d", each.seen[kind]);
    }
  }

  /** Draw where runs of a width ended without a loss: once for each learning rate, fainter if it happened to some seeds only. */
  function lost() {
    const nodes = axes.next.rows.flatMap((width, k) => {
      const each = sweep.of(width);
      const ratio = unit(width);
      if (ratio === null) return [];
      const y = 22 + axes.row * (k + 0.5);
      const parts = { "lost all": [], "lost some": [] };
      for (const [rate, ended] of each.lost) {
        const at = axes.x(rate / ratio);
        const of = each.tried.get(rate);
        if (ended.diverged) parts[ended.diverged === of ? "lost all" : "lost some"].push(cross(at, y));
        if (ended.stopped) parts[ended.stopped === of ? "lost all" : "lost some"].push(bar(at, y));
      }
      return [draw("g", { class: each.shade }, ...Object.entries(parts).filter(([, marks]) => marks.length).map(([kind, marks]) => draw("path", { class: kind, d: marks.join("") })))];
    });
    groups.lost.replaceChildren(...nodes);
  }

  function allTargets() {
    if (!axes) return [];
    const { x, y, next, row, frame: at } = axes;
    return sweep.all().flatMap((each, index) => {
      const ratio = unit(each.width);
      if (hidden.has(each.width) || ratio === null) return [];
      const found = [];
      for (const run of y ? each.order : []) {
        if (run.loss === null || sweep.isLost(run, each)) continue;
        const out = run.loss > y.high;
        found.push({
          key: run.key, row: index, x: x(run[over.name] / ratio), y: out ? at.top + 3 : y(run.loss),
          lines: () => [`loss ${number(run.loss, 5)}`, placeOf(each.width, run[over.name]), `width ${run.width}, seed ${run.seed}`, ...(over.more?.(run) ?? []), ...(out ? ["above the frame"] : [])],
        });
      }
      const lane = 22 + row * (next.rows.indexOf(each.width) + 0.5);
      for (const [rate, ended] of each.lost) {
        found.push({
          key: `lost ${each.width} ${rate}`, row: index, x: x(rate / ratio), y: lane,
          lines: () => [
            ...["diverged", "stopped"].filter((kind) => ended[kind]).map((kind) => `${ended[kind]} of ${each.tried.get(rate)} seeds ${kind === "stopped" ? "stopped early" : kind}`),
            placeOf(each.width, rate), `width ${each.width}`,
          ],
        });
      }
      const best = y ? fitOf(each.width) : null;
      if (best?.optimum ?? best?.tried) {
        const { [over.name]: rate, bound = null, loss, interval: ends = null } = best.optimum ?? best.tried;
        found.push({
          key: `optimum ${each.width}`, row: index, x: x((bound ?? rate) / ratio), y: y(loss),
          lines: () => (ends ? [`best ${placeOf(each.width, rate)}`, `95 %: ${interval(ends)}`, `width ${each.width}, loss ${number(loss, 5)}`] : [`width ${each.width}`, best.remark]),
        });
      }
      return found.filter((target) => target.x >= at.left - 1 && target.x <= at.right + 1);
    });
  }

  const placeOf = (width, rate) => `${over.word} ${number(rate)}${scaled ? ` (×${number(rate / unit(width), 3)} the law's)` : ""}`;

  function nothing() {
    if (sweep.all().length === 0) return "No run has ended yet";
    return sweep.all().some((each) => each.lost.size) ? "All runs diverged or were stopped" : "No run has a loss yet";
  }

  /** Which kinds of marks are in it. */
  function kinds() {
    const all = sweep.all();
    const found = all.map((each) => fitOf(each.width)).filter(Boolean);
    const inside = found.filter((each) => each.optimum?.interval);
    return {
      runs: all.some((each) => each.best < Infinity),
      mean: found.some((each) => each.means.length > 1),
      fitted: found.some((each) => each.parabola),
      optimum: inside.some((each) => !each.optimum.next_to_divergence),
      beside: inside.some((each) => each.optimum.next_to_divergence),
      final: found.some((each) => each.edge === "final"),
      provisional: found.some((each) => each.edge === "provisional"),
      tried: found.some((each) => each.tried && !each.tried.edge),
      triedAtEdge: found.some((each) => each.tried?.edge),
      diverged: all.some((each) => each.diverged),
      stopped: all.some((each) => each.stopped),
      above: axes?.y && all.some((each) => each.worst > axes.y.high),
    };
  }

  function summary() {
    const all = sweep.all();
    const runs = all.reduce((sum, each) => sum + each.order.length, 0);
    const best = all.map((each) => fitOf(each.width)).filter((each) => each?.optimum ?? each?.tried).map((each) => `${each.width}: ${each.optimum?.interval ? number(each.optimum[over.name], 3) : each.remark}`);
    const ends = ["diverged", "stopped"].map((kind) => [all.reduce((sum, each) => sum + each[kind], 0), kind]).filter(([count]) => count).map(([count, kind]) => `${count} ${kind}`);
    return `Loss over ${over.word}${of}: ${[`${runs} runs at ${all.length} ${all.length === 1 ? "width" : "widths"}`, ...ends].join(", ")}.${best.length ? ` Best ${over.word} by width: ${best.join("; ")}.` : ""}`;
  }

  new ResizeObserver(() => change(false)).observe(box);

  return {
    box,
    kinds,
    /** Every width that has runs, ascending: { width, shade, hidden, fit }. */
    widths: () => sweep.all().map(({ width }) => ({ width, shade: shade(width, planned.widths), hidden: hidden.has(width), fit: fitOf(width) })),
    /** The widths, which have their colours, and places that the axis shows from the start. */
    plan(widths, places) {
      planned = { widths, places };
      change(true);
    },
    /** Runs that are new or have another outcome. */
    add(runs) {
      change(sweep.add(runs));
    },
    /** A new fit; `tried` of a width is the best of what it tried, where that is all that is known. */
    fitted(next) {
      fit = next;
      refitted = true;
      change(sweep.takeAsDiverged((width) => fitOf(width)?.taken_as_diverged) || scaled);
    },
    /** Learning rates as they are, or divided by what the chosen law says. */
    scale(on) {
      scaled = on;
      change(true);
    },
    /** Hide a width, or show it. */
    hide(width, on) {
      if (on) hidden.add(width);
      else hidden.delete(width);
      change(true);
    },
  };
}
