// Small pictures of losses side by side, which share the axis, the widths and the legend: one for each role, or each horizon.

import { make } from "/assets/shared/elements.js";
import { legendOf } from "/assets/calibration/legend.js";
import { lossPicture } from "/assets/calibration/losses.js";

const HEIGHT = 260; // of a picture, in pixels

/**
 * Pictures in a place. over: what their losses are drawn over; titled: what a picture is called, by its name; of: whose runs it
 * has; order: of two names, as for a sort.
 */
export function multiplesIn(place, { over, titled, of, order }) {
  const pictures = new Map(); // by name: { picture, figure, drawn: what was fitted, as text }
  const all = () => [...pictures.values()].map(({ picture }) => picture);
  const legend = legendOf(all);
  const grid = make("div", { class: "multiples" });
  let widths = [];
  let ends = [Infinity, 0]; // of the axis
  place.hidden = true;
  place.append(legend.widths, grid, legend.key);

  function newPicture(name) {
    const picture = lossPicture({ over, of: of(name), height: HEIGHT, painted: legend.show });
    const figure = make("figure", {}, make("figcaption", {}, titled(name)), picture.box);
    const names = [...pictures.keys(), name].sort(order);
    grid.insertBefore(figure, pictures.get(names[names.indexOf(name) + 1])?.figure ?? null);
    for (const { width, hidden } of all().flatMap((other) => other.widths())) if (hidden) picture.hide(width, true);
    const made = { picture, figure, drawn: "" };
    pictures.set(name, made);
    place.hidden = false;
    return made;
  }

  const share = () => { for (const picture of all()) picture.plan(widths, ends[1] ? ends : []); };

  return {
    /** The widths of the calibration, which have their colours. */
    plan(asked) {
      if (asked.join() === widths.join()) return;
      widths = asked;
      share();
    },
    /** Runs of a picture that are new or have another outcome. */
    add(name, runs) {
      if (runs.length === 0) return;
      const isNew = !pictures.has(name);
      const { picture } = pictures.get(name) ?? newPicture(name);
      const places = runs.map((run) => run[over.name]);
      const found = [Math.min(ends[0], ...places), Math.max(ends[1], ...places)];
      const reaches = found.join() !== ends.join();
      ends = found;
      if (reaches || isNew) share();
      picture.add(runs);
    },
    /** What is known of the widths of a picture. */
    fitted(name, fits) {
      const known = pictures.get(name);
      const drawn = JSON.stringify(fits);
      if (!known || known.drawn === drawn) return; // it is not drawn again for nothing
      known.drawn = drawn;
      known.picture.fitted({ widths: fits });
    },
  };
}
