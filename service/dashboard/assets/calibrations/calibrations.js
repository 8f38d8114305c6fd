// The list of calibrations.

import { byId, fill, make } from "/assets/shared/elements.js";
import { refresh } from "/assets/shared/page.js";
import { ask } from "/assets/shared/service.js";
import { progress, stateOf } from "/assets/shared/states.js";

const LIST_MS = 3000; // between readings of the list

async function showList() {
  const { items } = await ask("/v1/calibrations?limit=50");
  byId("no-calibrations").hidden = items.length > 0;
  byId("calibrations").hidden = items.length === 0;
  fill(
    byId("calibrations"),
    [["Calibration"], ["State"], ["Trials"], ["Setting"], ["Proxy"], ["Widths"], ["Submitted"]],
    items.map((item) => {
      const { spec } = item;
      const alignment = typeof spec.alignment === "string" ? spec.alignment : "measured";
      return {
        key: item.id,
        cells: [
          make("a", { href: `/calibrations/${item.id}` }, item.name || item.id),
          stateOf(item), progress(item), `${spec.parameterization}, ${spec.optimizer}, ${alignment}`,
          `${spec.proxy.architecture}, ${spec.proxy.dataset}`, spec.widths.join(" "), new Date(item.created_at).toLocaleString(),
        ],
      };
    }),
  );
}

refresh(LIST_MS, showList);
