// Saving: what came from the service, or is on the page, as a file of the reader's.

import { make } from "/assets/shared/elements.js";

/** Save a blob under a name. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000); // a browser may begin to read it later
}
