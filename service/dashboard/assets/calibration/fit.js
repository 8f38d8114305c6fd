// The fit of a calibration's runs so far, which the service makes.

import { Refused, ask } from "/assets/shared/service.js";
import { hasEnded } from "/assets/shared/states.js";

const FIT_MS = 3000; // between two fits of a running calibration at least (chosen): one of 5,000 trials takes half a second

/** Reads the fit again when it may have changed: at once after the end, else every few seconds. took: gets it and what is wrong. */
export function fitting(took) {
  let item = null;
  let runs = 0; // how many times some came
  let fit = null;
  let fitOf = null;
  let trouble = "";
  let isAsking = false;
  let due = 0;
  let timer = 0;

  /** What a fit is of: of a calibration that has ended, the service has all runs before this page does. */
  const version = () => `${item.state} ${hasEnded(item) ? "" : runs}`;

  function want() {
    if (!item || timer || isAsking || fitOf === version()) return;
    const wait = hasEnded(item) && !trouble ? 0 : Math.max(0, due - performance.now());
    timer = setTimeout(() => { timer = 0; read(); }, wait);
  }

  async function read() {
    const asked = version();
    let pause = FIT_MS;
    isAsking = true;
    try {
      fit = await ask(item.links.fit);
      fitOf = asked;
      trouble = "";
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      pause = error.retryAfterMs || pause;
      trouble = error.status === 401 ? trouble : `${fit ? "The curves are of an earlier fit" : "There is no fit yet"}: ${error.message}`;
    } finally {
      isAsking = false;
      due = performance.now() + pause;
    }
    took(fit, trouble);
    if (!trouble) want(); // after trouble, the next reading of the calibration asks again
  }

  return {
    /** The calibration as it was just read. */
    of(found) { item = found; want(); },
    /** Runs that were not known. */
    runsCame() { runs += 1; want(); },
  };
}
