// One calibration: what it found, how far it is, and what can be done with it.

import { byId, tell } from "/assets/shared/elements.js";
import { editLabels } from "/assets/shared/labels.js";
import { refresh } from "/assets/shared/page.js";
import { ask, key } from "/assets/shared/service.js";
import { hasEnded } from "/assets/shared/states.js";
import { offerActions, showActions } from "/assets/calibration/actions.js";
import { showAlignment } from "/assets/calibration/alignment_panel.js";
import { offerComparison } from "/assets/calibration/comparing.js";
import { showCoordinates } from "/assets/calibration/coordinates_panel.js";
import { showEpsilon } from "/assets/calibration/epsilon_panel.js";
import { showEvents } from "/assets/calibration/events.js";
import { offerExtension } from "/assets/calibration/extending.js";
import { showGamma, showGammaRuns } from "/assets/calibration/gamma_panel.js";
import { gathering } from "/assets/calibration/gathered.js";
import { showFailures, showHead } from "/assets/calibration/head.js";
import { showHorizon, showHorizonRuns } from "/assets/calibration/horizon_panel.js";
import { fitting } from "/assets/calibration/fit.js";
import { showFitInPictures, showPictures, showRuns } from "/assets/calibration/pictures.js";
import { showProvenance } from "/assets/calibration/provenance.js";
import { showFit, showResults } from "/assets/calibration/results.js";
import { showShards } from "/assets/calibration/shards.js";
import { isPlain, trialsOf } from "/assets/calibration/trials.js";

const READ_MS = 5000; // between readings (chosen); what happens to it arrives at once, as an event
const TOGETHER_MS = 1000; // events come in bursts: read once for all events of a second
const CHILDREN = 50; // extensions to read, of which few are shown (chosen)

const id = location.pathname.split("/").pop(); // encoded, if it is no identifier
const address = `/v1/calibrations/${id}`;
const trials = trialsOf(address, drawRuns);
const fit = fitting((found, trouble) => { showFitInPictures(found, trouble); if (found) showFit(item, found); });
const measurementsOf = gathering(`${address}/measurements`);

let item = null; // as it was read last
let state = null; // of the reading before
let measurements = [];
let shards = [];
let children = [];
let turn = 0;
let absent; // the key with which there was no such calibration
let followed = null; // how to stop following the events

/** Draw runs that are new or have another outcome. */
function drawRuns(runs) {
  const plain = runs.filter(isPlain);
  if (plain.length > 0) {
    showRuns(plain);
    fit.runsCame();
  }
  showGammaRuns(runs);
  showHorizonRuns(runs);
}

function show() {
  const all = trials.all();
  byId("reading").hidden = true;
  byId("missing").hidden = true;
  byId("whole").hidden = false;
  showHead(item, children);
  showActions(item);
  showFailures(item, shards);
  showPictures(item, { gamma: all.filter((trial) => trial.role !== null).length, horizon: all.filter((trial) => trial.horizon !== null).length });
  fit.of(item);
  showResults(item);
  showCoordinates(item, measurements);
  showAlignment(item, measurements);
  showEpsilon(item, measurements);
  showGamma(item);
  showHorizon(item);
  showProvenance(item, all, shards);
  showShards(shards);
  if (!followed && !hasEnded(item)) watch();
}

/** There is none, or none that this key may see: asking again would not help, unless with another key. */
function showMissing() {
  absent = key();
  unfollow();
  byId("reading").hidden = true;
  byId("whole").hidden = true;
  byId("missing").hidden = false;
  byId("missing-id").textContent = id;
  document.title = "No such calibration";
}

async function readAll() {
  if (absent !== undefined && absent === key()) return;
  const mine = ++turn;
  try {
    const found = await ask(address);
    if (mine !== turn) return;
    const isNew = found.state !== state;
    if (isNew) children = (await ask(`/v1/calibrations?extends=${id}&limit=${CHILDREN}`)).items;
    const measures = found.spec.measure.some((kind) => ["epsilon", "alignment", "coordinates"].includes(kind));
    const hasMore = isNew || !hasEnded(found);
    const parts = hasMore ? await Promise.all([trials.readOn(found.progress.trials_done), measures ? measurementsOf(isNew) : [], ask(found.links.shards)]) : null;
    if (mine !== turn) return;
    item = found;
    if (parts) [, measurements, { items: shards }] = parts;
    state = found.state;
    absent = undefined;
    tell("stale", "");
    show();
  } catch (error) {
    if (error.status === 404 || error.status === 422) return showMissing();
    if (error.status === 401) unfollow(); // until there is a key
    if (item && error.status !== 401) tell("stale", `${error.message[0].toUpperCase()}${error.message.slice(1)}: the page shows what it read last, and goes on trying.`);
    if (!item) byId("reading").textContent = `The calibration can't be read yet: ${error.message}. The page goes on trying.`;
    throw error;
  }
}

/** Stop following the events; the next reading follows them again. */
function unfollow() {
  followed?.abort();
  followed = null;
}

/** Follow the events of the calibration, and read what they tell of. */
function watch() {
  followed = new AbortController();
  const mine = followed;
  let pending = 0;
  showEvents(item.links.events, mine.signal, (kind, data) => {
    if (kind === "trial") trials.take([data]);
    pending ||= setTimeout(() => { pending = 0; read(); }, TOGETHER_MS);
  });
}

/** After an action: show what it led to, and read everything again, including the events. */
function changed(found) {
  item = { ...item, ...found };
  show();
  if (hasEnded(found) || state !== found.state) unfollow();
  state = null;
  read();
}

editLabels(address, { name: "rename", note: "edit-note" }, () => item, (found) => {
  item = found;
  show();
  read(); // one that is under way may have begun before
});
offerActions(changed);
offerExtension(() => item);
offerComparison(id, address);

const read = refresh(READ_MS, readAll);
