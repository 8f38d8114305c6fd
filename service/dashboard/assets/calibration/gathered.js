// Measurements of a calibration as they are gathered, and what panels work out of many items.

import { ask } from "/assets/shared/service.js";

const PAGE = 500; // rows, as many as the service gives at once

/** A function that returns every item of a listing. It reads what is new; with `all`, everything again. */
export function gathering(path) {
  let found = new Map();
  let last = null; // cursor of the last page
  return async function gather(all = false) {
    const items = all ? new Map() : found;
    let cursor = all ? null : last;
    for (;;) {
      const page = await ask(`${path}?limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      for (const item of page.items) items.set(item.id, item);
      if (!page.next_cursor) break;
      cursor = page.next_cursor;
    }
    [found, last] = [items, cursor];
    return [...items.values()];
  };
}

/** Items in groups: a map from what `key` returns of an item. */
export function grouped(items, key) {
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(item);
  }
  return groups;
}

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The mean of sizes that span powers; those that are 0 or missing do not count. */
export function geometricMean(values) {
  const logs = values.filter((value) => value > 0).map(Math.log);
  return logs.length > 0 ? Math.exp(mean(logs)) : null;
}
