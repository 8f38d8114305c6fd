// The two pictures of the sweep: loss over learning rate, and the optimum over width.

import { byId } from "/assets/shared/elements.js";
import { picture } from "/assets/shared/service.js";

let shown = "";

/** Show the pictures of the trials so far. */
export function showPictures(item) {
  const version = `${item.id}-${item.progress.trials_done}-${item.state}`;
  if (version === shown) return;
  shown = version;
  for (const [name, path] of [["plot", item.links.plot], ["widths", item.links.widths]]) {
    picture(byId(name), path).catch((error) => {
      byId(name).alt = `Could not load the picture: ${error.message}`;
      shown = "";
    });
  }
}
