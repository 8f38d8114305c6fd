// Workers and queue: who trains, what waits, and what failed.

import { byId } from "/assets/shared/elements.js";
import { refresh } from "/assets/shared/page.js";
import { ask } from "/assets/shared/service.js";
import { showFailures } from "/assets/workers/failures.js";
import { showFleet } from "/assets/workers/fleet.js";
import { showQueue } from "/assets/workers/queue.js";

const READ_MS = 5000; // between readings
const ACTIVE = 200; // calibrations of the queue that are read (chosen): more than anybody looks through
const FAILED = 10; // failed calibrations (chosen); a retry begins on the page of the calibration
const LOOKED_INTO = 20; // calibrations whose shards are read (chosen): a request each

const ended = new Map(); // shards of failed calibrations by id and end: they change with a retry alone
let shown = null; // what the reader saw last

const list = (state, limit) => ask(`/v1/calibrations?${new URLSearchParams({ state, limit })}`);

async function shardsOf(item) {
  const version = `${item.id} ${item.finished_at}`;
  if (ended.has(version)) return ended.get(version);
  const { items } = await ask(item.links.shards).catch((error) => {
    if (error.status === 404) return { items: [] }; // deleted since it was listed
    throw error;
  });
  if (item.state === "failed") ended.set(version, items);
  return items;
}

async function read() {
  const [fleet, running, queued, failed] = await Promise.all([ask("/v1/workers"), list("running", ACTIVE), list("queued", ACTIVE), list("failed", FAILED)]);
  const active = [...running.items, ...queued.items].sort((one, other) => one.created_at.localeCompare(other.created_at) || one.id.localeCompare(other.id));
  const busy = active.filter(({ runner, progress: { shards } }) => runner !== "external" && (shards.running > 0 || shards.failed > 0 || shards.queued > 0));
  const looked = [...busy, ...failed.items].slice(0, LOOKED_INTO);
  const shards = new Map(await Promise.all(looked.map(async (item) => [item.id, await shardsOf(item)])));
  shown = { workers: fleet.items, active, failed: failed.items, hasMore: failed.next_cursor !== null, shards };
  show();
}

function show() {
  if (shown === null) return;
  const { workers, active, failed, hasMore, shards } = shown;
  const calibrations = new Map(active.map((item) => [item.id, item]));
  const byShard = new Map([...shards.values()].flat().map((shard) => [shard.id, shard]));
  const alive = showFleet(workers, calibrations, byShard);
  showQueue(active, workers, alive, Date.now());
  showFailures([...failed, ...active], shards, hasMore);
  for (const note of document.querySelectorAll(".reading")) note.hidden = true;
}

byId("stopped").addEventListener("change", show);
refresh(READ_MS, read);
