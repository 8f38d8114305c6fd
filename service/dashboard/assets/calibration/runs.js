// Runs by width: their range, and how many at each place, a learning rate or a γ, ended without a loss.

/** The runs so far; each width is { width, order: its runs, low, high, best, worst, diverged, stopped, tried, lost, … }. name: of the place in a run. */
export function runsByWidth(name) {
  const byWidth = new Map();

  const isLost = (run, of) => run.status === "diverged" || run.status === "stopped" || of.taken.has(`${run[name]} ${run.seed}`);

  function newWidth(width) {
    const each = { width, runs: new Map(), order: [], drawn: 0, taken: new Set() };
    byWidth.set(width, recount(each));
    return each;
  }

  /** Count a width's runs from the start: when an outcome was replaced, or the fit takes some for divergences. */
  function recount(each) {
    Object.assign(each, { low: Infinity, high: 0, best: Infinity, worst: -Infinity, diverged: 0, stopped: 0, tried: new Map(), lost: new Map() });
    for (const run of each.order) counted(each, run);
    return each;
  }

  function counted(each, run) {
    const place = run[name];
    each.low = Math.min(each.low, place);
    each.high = Math.max(each.high, place);
    each.tried.set(place, (each.tried.get(place) ?? 0) + 1);
    if (isLost(run, each)) {
      const kind = run.status === "stopped" ? "stopped" : "diverged";
      const ended = each.lost.get(place) ?? { diverged: 0, stopped: 0 };
      ended[kind] += 1;
      each[kind] += 1;
      each.lost.set(place, ended);
    } else if (run.loss !== null) {
      each.best = Math.min(each.best, run.loss);
      each.worst = Math.max(each.worst, run.loss);
    }
  }

  return {
    isLost,
    /** Every width that has runs, ascending. */
    all: () => [...byWidth.values()].sort((one, other) => one.width - other.width),
    of: (width) => byWidth.get(width),
    /** Runs that are new or have another outcome. Returns whether what is drawn of earlier ones no longer holds. */
    add(runs) {
      let replaced = false;
      for (const run of runs) {
        if (run.status === "failed") continue; // it says nothing of its place
        const known = byWidth.has(run.width);
        const each = byWidth.get(run.width) ?? newWidth(run.width);
        if (each.runs.has(run.key)) {
          each.order = each.order.filter((old) => old.key !== run.key);
          each.stale = true;
        }
        each.runs.set(run.key, run);
        each.order.push(run);
        if (!each.stale) counted(each, run);
        replaced ||= !known || each.stale;
      }
      for (const each of byWidth.values()) {
        if (!each.stale) continue;
        each.stale = false;
        recount(each);
      }
      return replaced;
    },
    /**
     * What the fit takes for divergences, although they have a loss. taken: by width, place and seed of each. Returns whether
     * that has changed.
     */
    takeAsDiverged(taken) {
      let changed = false;
      for (const each of byWidth.values()) {
        const found = new Set((taken(each.width) ?? []).map((run) => `${run[name]} ${run.seed}`));
        if ([...found].join() === [...each.taken].join()) continue;
        each.taken = found;
        changed = true;
        recount(each);
      }
      return changed;
    },
  };
}
