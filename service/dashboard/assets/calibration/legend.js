// The legend of pictures of losses: the widths, which can be hidden, and what the marks mean.

import { make } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { number } from "/assets/shared/numbers.js";
import { arrow, bar, caret, circle, cross, diamond, dot, keyOf } from "/assets/calibration/marks.js";

const SPAN = "M2 6H22";
/** Every kind of mark, as a picture counts them: its class, its path around (12, 6), and its meaning. */
const MEANINGS = {
  runs: ["runs", dot(12, 6), "one run"],
  mean: ["mean", SPAN, "mean over seeds"],
  fitted: ["fitted", SPAN, "fitted parabola"],
  optimum: ["optimum", [SPAN, diamond(12, 6, 5)], "optimum, 95 %"],
  beside: ["optimum hollow", [SPAN, diamond(12, 6, 5)], "optimum next to a divergence"],
  final: ["bound", arrow(2, 6, 1, 0).join(""), "optimum beyond this bound"],
  provisional: ["bound provisional", arrow(2, 6, 1, 0).join(""), "beyond this bound, so far"],
  tried: ["tried", circle(12, 6), "best so far"],
  triedAtEdge: ["tried hollow", circle(12, 6), "best, at an edge of those tried"],
  diverged: ["lost all", cross(12, 6), "diverged (faint: some seeds)"],
  stopped: ["lost all", bar(12, 6), "stopped early (likewise)"],
  above: ["carets", caret(12, 2), "loss above the frame"],
};

/** The legend of one or several pictures. pictures: a function that returns them; best: what to say of a width's fit, if anything. */
export function legendOf(pictures, best = () => null) {
  const widths = make("div", { class: "widths", role: "group", "aria-label": "Widths that are shown" });
  const key = make("ul", { class: "marks" });

  function showWidths(all) {
    const found = new Map(all.flatMap((picture) => picture.widths()).map((each) => [each.width, each]));
    const shown = [...found.values()].sort((one, other) => one.width - other.width);
    morph(widths, shown.map(({ width, shade, hidden, fit }) => {
      const said = best(fit);
      return make("button", { type: "button", class: "plain", "data-key": width, "aria-pressed": String(!hidden), "aria-label": `Width ${width}${said ? `, best learning rate ${said}` : ""}` },
        make("i", { class: shade }), make("b", {}, String(width)), ...(said ? [" ", make("span", {}, said)] : []));
    }));
  }

  widths.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    for (const picture of pictures()) picture.hide(Number(button.dataset.key), button.getAttribute("aria-pressed") === "true");
  });

  return {
    widths, key,
    /** After a picture was drawn. more: whether more than runs has changed. */
    show(more) {
      const all = pictures();
      const kinds = all.map((picture) => picture.kinds());
      if (more) showWidths(all);
      morph(key, keyOf(Object.keys(MEANINGS).filter((kind) => kinds.some((each) => each[kind])).map((kind) => MEANINGS[kind])));
    },
  };
}

/** The best learning rate of a width. */
export function bestRate(fit) {
  const optimum = fit?.optimum;
  return optimum ? `${{ upper_bound: "< ", lower_bound: "> " }[optimum.kind] ?? ""}${number(optimum.bound ?? optimum.learning_rate, 3)}` : "–";
}
