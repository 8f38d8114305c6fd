// What happens to the calibration, as it happens.

import { byId, make } from "/assets/shared/elements.js";
import { number } from "/assets/shared/numbers.js";
import { follow } from "/assets/shared/service.js";

const SHOWN = 8;
const TEXTS = {
  trial: (data) => `width ${data.width}, learning rate ${number(data.learning_rate)}, seed ${data.seed}: ${data.loss === null ? data.status : `loss ${number(data.loss)}`}`,
  measurement: (data) => `width ${data.width}, seed ${data.seed}: ${data.kind} measured`,
  shard: (data) => `shard ${data.from || "new"} → ${data.to}`,
  calibration: (data) => `calibration ${data.from || "new"} → ${data.to}`,
  round: () => "planned more shards",
};

/** Follow the events until the calibration ends or `signal` aborts; happened: is called with each. */
export function showEvents(path, signal, happened) {
  byId("events").replaceChildren();
  byId("events-part").hidden = true;
  follow(path, signal, (kind, data) => {
    if (signal.aborted) return;
    showEvent(kind, data);
    happened(kind, data);
  });
}

function showEvent(kind, data) {
  if (!TEXTS[kind]) return;
  const list = byId("events");
  byId("events-part").hidden = false;
  list.prepend(make("li", {}, make("small", {}, new Date(data.created_at).toLocaleTimeString()), ` ${TEXTS[kind](data)}`));
  while (list.children.length > SHOWN) list.lastChild.remove();
}
