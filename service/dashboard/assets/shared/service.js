// Requests to the service: the API key, JSON, pictures and the event stream.
//
// The key is kept in sessionStorage until the tab is closed, and is sent only in the Authorization header: never in a URL,
// which would appear in logs and in the history.

const KEY = "widthwise-api-key";
const FIRST_PAUSE_MS = 1000; // after a stream breaks; doubled after each further failure
const LAST_PAUSE_MS = 30000;

export const UNREACHABLE = 503; // no answer at all: as from a service that is down for a moment

const listeners = [];

export function key() {
  return sessionStorage.getItem(KEY);
}

export function setKey(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

/** Call the listener with a reason when the service requires a key or rejects the one it got. */
export function onKeyWanted(listener) {
  listeners.push(listener);
}

export class Refused extends Error {
  constructor(status, detail, retryAfter, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors; // of each field: its pointer or path, and what is wrong
    this.retryAfterMs = retryAfter > 0 ? 1000 * retryAfter : 0;
  }
}

/** The service's answer to a request; throws Refused with its reason. */
export async function send(path, options = {}) {
  const used = key();
  const headers = { ...options.headers };
  if (used) headers.Authorization = `Bearer ${used}`;
  const answer = await fetch(path, { ...options, headers }).catch((error) => {
    throw error.name === "AbortError" ? error : new Refused(UNREACHABLE, "the service does not answer");
  });
  if (answer.ok) return answer;
  let detail = `status ${answer.status}`;
  let errors = [];
  try {
    ({ detail = detail, errors = errors } = await answer.json());
  } catch { /* a proxy's error page: the status is enough */ }
  if (answer.status === 401 && used === key()) {
    setKey(null); // sending a wrong key repeatedly would exhaust this address's limit of failed keys
    for (const listener of listeners) listener(used ? detail : "");
  }
  throw new Refused(answer.status, detail, Number(answer.headers.get("Retry-After")), errors);
}

export async function ask(path, options) {
  return (await send(path, options)).json();
}

/** Options that send a body as JSON. */
export function posted(body, signal) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
}

/** Load a picture into an image. An SVG in an <img> never runs scripts, whatever it contains. */
export async function picture(image, path) {
  const asked = (image.dataset.asked = path);
  const blob = await (await send(path)).blob();
  if (image.dataset.asked !== asked) return; // another picture was requested in the meantime
  const before = image.src;
  image.src = URL.createObjectURL(blob);
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}

/** Parse complete events from a stream's text: [events, remaining text]. */
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

/** Follow a calibration's events until it ends or `signal` aborts; a broken stream resumes where it stopped. */
export async function follow(path, signal, onEvent) {
  let last = "";
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const answer = await send(path, { signal, headers: last ? { "Last-Event-ID": last } : {} });
      if (answer.status === 204) return; // it has ended and we have seen every event
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
      if (error instanceof Refused && error.status < 500 && error.status !== 429) return; // retrying won't help
      pause = Math.max(pause, error.retryAfterMs || 0);
    }
    const wait = pause * (0.5 + Math.random() / 2); // so that pages that were cut off together don't reconnect together
    await new Promise((go) => { setTimeout(go, wait); signal.addEventListener("abort", go, { once: true }); });
    pause = Math.min(2 * pause, LAST_PAUSE_MS);
  }
}

/** Repeat an action now and then; the pause grows while it fails. `trouble` gets each error, and null after a success. */
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
