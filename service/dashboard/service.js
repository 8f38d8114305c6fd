// Asking the service: the API key, JSON, pictures and the event stream.
//
// The key lives in sessionStorage until the tab is closed, and travels in the Authorization header alone: never in an
// address, which would stand in logs and in the history.

const KEY = "widthwise-api-key";
const FIRST_PAUSE_MS = 1000; // after a stream breaks, doubled while failures follow each other
const LAST_PAUSE_MS = 30000;

const listeners = [];

export function key() {
  return sessionStorage.getItem(KEY);
}

export function setKey(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

/** Call back with a reason when the service asks for a key, or refuses the one it got. */
export function onKeyWanted(listener) {
  listeners.push(listener);
}

export class Refused extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfterMs = retryAfter > 0 ? 1000 * retryAfter : 0;
  }
}

async function send(path, options = {}) {
  const used = key();
  const headers = { ...options.headers };
  if (used) headers.Authorization = `Bearer ${used}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  let detail = `status ${answer.status}`;
  try {
    detail = (await answer.json()).detail || detail;
  } catch { /* a proxy's page: its status says enough */ }
  if (answer.status === 401 && used === key()) {
    setKey(null); // sent again and again, a wrong one would use up what its address may try
    for (const listener of listeners) listener(used ? detail : "");
  }
  throw new Refused(answer.status, detail, Number(answer.headers.get("Retry-After")));
}

export async function ask(path, options) {
  return (await send(path, options)).json();
}

/** Load a picture into an image. As an image an SVG runs no script, whatever it holds. */
export async function picture(image, path) {
  const asked = (image.dataset.asked = path);
  const blob = await (await send(path)).blob();
  if (image.dataset.asked !== asked) return; // another was asked for meanwhile
  const before = image.src;
  image.src = URL.createObjectURL(blob);
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}

/** Take whole events out of a stream's text: [events, what is left of the text]. */
export function parse(text) {
  const blocks = text.replace(/\r\n?/g, "\n").split("\n\n");
  const rest = blocks.pop();
  const events = [];
  for (const block of blocks) {
    const event = { kind: "message", id: null, data: "" };
    for (const line of block.split("\n")) {
      const [, name, value] = /^([a-z]*)(?:: ?(.*))?$/.exec(line) || [];
      if (name === "event") event.kind = value;
      else if (name === "id") event.id = value;
      else if (name === "data") event.data += (event.data ? "\n" : "") + value;
    }
    if (event.data) events.push(event);
  }
  return [events, rest];
}

/** Follow a calibration's events until it has ended or `signal` says so; a break is resumed where it broke. */
export async function follow(path, signal, onEvent) {
  let last = "";
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const answer = await send(path, { signal, headers: last ? { "Last-Event-ID": last } : {} });
      if (answer.status === 204) return; // it has ended, and we saw every event
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        let events;
        [events, rest] = parse(rest + part.value);
        for (const event of events) {
          if (event.id) last = event.id;
          pause = FIRST_PAUSE_MS;
          onEvent(event.kind, JSON.parse(event.data));
          if (event.kind === "end") return;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status < 500 && error.status !== 429) return; // asking again won't help
      pause = Math.max(pause, error.retryAfterMs || 0);
    }
    const wait = pause * (0.5 + Math.random() / 2); // pages that broke together don't come back together
    await new Promise((go) => { setTimeout(go, wait); signal.addEventListener("abort", go, { once: true }); });
    pause = Math.min(2 * pause, LAST_PAUSE_MS);
  }
}

/** Do something now and again; the pause grows while it fails. `trouble` is told of failures, null when they end. */
export function repeat(everyMs, action, trouble) {
  let timer = 0;
  let pause = everyMs;
  let turn = 0;
  async function run() {
    clearTimeout(timer);
    const mine = ++turn;
    try {
      await action();
      pause = everyMs;
      trouble(null);
    } catch (error) {
      pause = Math.max(Math.min(2 * pause, LAST_PAUSE_MS), error.retryAfterMs || 0);
      trouble(error);
    }
    if (mine === turn) timer = setTimeout(run, document.hidden ? 4 * pause : pause);
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) run(); });
  run();
  return run;
}
