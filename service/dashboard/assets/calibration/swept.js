// What is known of a width that was swept over learning rates or γ: the mean losses, and the best of them.

import { number } from "/assets/shared/numbers.js";
import { grouped, mean } from "/assets/calibration/gathered.js";
import { bounded } from "/assets/calibration/words.js";

const counts = (run) => run.status !== "failed"; // one that failed says nothing of its place

/** The mean loss over seeds at each place, where no seed diverged, ascending: { [name]: the place, loss }. name: of the place in a run. */
function meansOver(name, runs) {
  const usable = [...grouped(runs.filter(counts), (run) => run[name])].filter(([, all]) => all.every((run) => run.status !== "diverged") && all.some((run) => run.loss !== null));
  return usable.sort(([one], [other]) => one - other).map(([place, all]) => ({ [name]: place, loss: mean(all.filter((run) => run.loss !== null).map((run) => run.loss)) }));
}

/** The best mean over seeds of what was tried: { [over.name], loss, edge: whether nothing was tried on one side }. Null if none has a loss. */
export function bestTried(over, runs) {
  const means = meansOver(over.name, runs);
  if (means.length === 0) return null;
  const best = means.reduce((one, other) => (one.loss <= other.loss ? one : other));
  const places = runs.filter(counts).map((run) => run[over.name]);
  return { ...best, edge: best[over.name] === Math.min(...places) || best[over.name] === Math.max(...places) };
}

/** A width as a picture takes it. optimum: of the result, null if the result has none, undefined while there is no result. */
export function knownOf(over, width, runs, optimum) {
  const means = meansOver(over.name, runs);
  if (optimum === undefined) {
    const tried = bestTried(over, runs);
    return { width, means, tried, remark: tried && `best ${over.word} tried so far ${number(tried[over.name], 3)}${tried.edge ? ", at an edge of those tried" : ""}` };
  }
  if (optimum === null) return { width, means };
  const isBound = optimum.kind !== "interior";
  return {
    width, means, optimum, edge: isBound ? "final" : null, // a result is of all runs
    tried: isBound ? { [over.name]: optimum[over.name], loss: optimum.loss, edge: true } : null,
    remark: `best ${over.word} ${bounded(optimum, over.name)}, ${isBound ? "beyond an edge of those tried" : "without an interval"}`,
  };
}
