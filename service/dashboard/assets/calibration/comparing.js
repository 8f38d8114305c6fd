// Two calibrations compared: which of specification, code and device differ, and whether their losses do.

import { byId, fill, make, tell } from "/assets/shared/elements.js";
import { number } from "/assets/shared/numbers.js";
import { ask } from "/assets/shared/service.js";
import { nameOf } from "/assets/calibration/head.js";
import { plural } from "/assets/shared/words.js";

const OFFERED = 20; // of the newest (chosen): others are pasted
const form = byId("compare-form");

const shown = (value) => (value === null || value === undefined ? "–" : Array.isArray(value) ? value.map(shown).join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value));

function told({ specification, code, device, trials }) {
  const said = ["specification", "code", "device"].map((name) => `${name} ${{ true: "the same", false: "different", null: "not known" }[{ specification, code, device }[name].same]}`);
  const gap = trials.largest_difference === null ? "" : `; two losses differ by at most ${number(trials.largest_difference, 3)} nats`;
  const losses = trials.common === 0 ? "They have no trial in common" : `Of ${plural(trials.common, "trial")} in both, ${trials.equal} ${trials.equal === 1 ? "is" : "are"} equal to the last bit${gap}`;
  const alone = trials.only_this + trials.only_other > 0 ? ` ${trials.only_this} are in this one alone, ${trials.only_other} in the other.` : "";
  return `${said.join(", ").replace(/^./, (letter) => letter.toUpperCase())}. ${losses}.${alone}`;
}

function showDifferences({ specification, code, device }) {
  const rows = [
    ...specification.differences.map((found) => ["specification", found]),
    ...(code.same === false ? [["code", { key: "digest", this: code.this.map((each) => each.slice(0, 12)), other: code.other.map((each) => each.slice(0, 12)) }]] : []),
    ...device.differences.map((found) => ["device", found]),
  ];
  byId("differences").hidden = rows.length === 0;
  fill(byId("differences"), [["What differs"], ["Of"], ["This"], ["The other"]], rows.map(([of, found]) => ({ key: `${of} ${found.key}`, cells: [make("code", {}, found.key), of, shown(found.this), shown(found.other)] })));
}

async function offerOthers(id) {
  const { items } = await ask(`/v1/calibrations?limit=${OFFERED}`);
  byId("others").replaceChildren(...items.filter((each) => each.id !== id).map((each) => make("option", { value: each.id }, `${nameOf(each)}, ${each.state}`)));
}

/** Let a reader compare a calibration with another. */
export function offerComparison(id, address) {
  byId("comparison").addEventListener("toggle", () => { if (byId("comparison").open) offerOthers(id).catch(() => {}); }); // an identifier can still be pasted
  byId("compare").addEventListener("click", () => {
    byId("comparison").open = true;
    form.elements.other.focus();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    tell("compare-error", "");
    try {
      const found = await ask(`${address}/comparison?other=${encodeURIComponent(form.elements.other.value.trim())}`);
      tell("compared", told(found));
      showDifferences(found);
    } catch (error) {
      tell("compared", "");
      byId("differences").hidden = true;
      tell("compare-error", error.status === 422 ? "That is not an identifier of a calibration: it looks like cal_ and letters." : error.message);
    }
  });
}
