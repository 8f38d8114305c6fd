// The page's address: everything a reader has chosen stands after its #, where no server and no log sees it.

const LONGEST = 60_000; // characters (chosen): browsers and chats cut longer addresses

function values() {
  const text = location.hash.slice(1);
  return new URLSearchParams(text && !text.includes("=") ? { calibration: decodeURIComponent(text) } : text); // /#ID is a calibration
}

export function fromAddress(name) {
  return values().get(name);
}

/** Put values into the address; null takes a name out. Returns whether they fit: if not, the address stays as it was. */
export function intoAddress(changes) {
  const all = values();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) all.delete(name);
    else all.set(name, value);
  }
  const text = all.toString();
  if (text.length > LONGEST) return false;
  if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? `#${text}` : location.pathname);
  return true;
}
