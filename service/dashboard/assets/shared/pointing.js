// Pointing at the marks of a picture, with a pointer or with the arrow keys: a ring around the mark, and its numbers next to it.

import { make } from "/assets/shared/elements.js";

const NEAR = 26; // pixels (chosen): how far a pointer may be from the mark that it is about
const OFF = 12; // pixels between a mark and what is said about it

function nearest(targets, x, y) {
  let best = null;
  let least = NEAR ** 2;
  for (const target of targets) {
    const away = (target.x - x) ** 2 + (target.y - y) ** 2;
    if (away < least) [best, least] = [target, away];
  }
  return best;
}

/**
 * Let a reader point at marks. box: around the picture, whose pixels are those of the marks; targets: a function that returns
 * { key, row, x, y, lines }, lines being a function. Left and right lead along a row, up and down to the next row.
 * Returns what to call when the marks have moved.
 */
export function pointing(box, targets) {
  const ring = make("div", { class: "ring", hidden: true });
  const tip = make("div", { class: "tip", role: "status", hidden: true });
  box.append(ring, tip);
  let told = null;

  function tell(target) {
    const same = target && told && target.key === told.key && target.x === told.x && target.y === told.y;
    told = target;
    if (same) return;
    ring.hidden = tip.hidden = target === null;
    if (target === null) return;
    ring.style.left = `${target.x}px`;
    ring.style.top = `${target.y}px`;
    tip.replaceChildren(...target.lines().map((line, index) => make(index ? "span" : "strong", {}, line)));
    const left = Math.min(Math.max(target.x - tip.offsetWidth / 2, 0), box.clientWidth - tip.offsetWidth);
    const above = target.y - tip.offsetHeight - OFF;
    tip.style.left = `${left}px`;
    tip.style.top = `${above < 0 ? target.y + OFF : above}px`;
  }

  function moved(key) {
    const all = [...targets()].sort((one, other) => one.row - other.row || one.x - other.x || one.y - other.y);
    if (all.length === 0) return null;
    const at = told ? all.findIndex((each) => each.key === told.key) : -1;
    if (at < 0 || key === "Home") return all[0];
    if (key === "End") return all.at(-1);
    if (key === "ArrowLeft" || key === "ArrowRight") return all[Math.min(Math.max(at + (key === "ArrowRight" ? 1 : -1), 0), all.length - 1)];
    const rows = [...new Set(all.map((each) => each.row))];
    const row = rows[rows.indexOf(told.row) + (key === "ArrowUp" ? 1 : -1)];
    const there = all.filter((each) => each.row === row);
    return there.length ? there.reduce((best, each) => (Math.abs(each.x - told.x) < Math.abs(best.x - told.x) ? each : best)) : told;
  }

  const point = (event) => {
    const corner = box.getBoundingClientRect();
    tell(nearest(targets(), event.clientX - corner.left, event.clientY - corner.top));
  };
  box.addEventListener("pointermove", point);
  box.addEventListener("pointerdown", point);
  for (const left of ["pointerleave", "blur"]) box.addEventListener(left, () => tell(null));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tell(null);
    if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    tell(moved(event.key));
  });
  return () => { if (told) tell([...targets()].find((each) => each.key === told.key) ?? null); };
}
