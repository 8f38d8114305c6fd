// Updates of what is shown: new nodes go into the place of old ones, which stay where they are and keep the focus.
//
// Children with a `data-key` are matched by it, others by their position and kind.

const LEFT_TO_THE_READER = { DETAILS: ["open"] }; // attributes that a reader changes

const keyOf = (node) => node.dataset?.key;
const sameKind = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName;

function become(old, next) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  const left = LEFT_TO_THE_READER[old.nodeName] || [];
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name) && !left.includes(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  children(old, [...next.childNodes]);
}

function children(place, nodes) {
  const wanted = new Set(nodes.map(keyOf).filter(Boolean));
  const kept = new Map();
  for (const child of [...place.childNodes]) {
    const key = keyOf(child);
    if (!key) continue;
    if (wanted.has(key)) kept.set(key, child);
    else child.remove();
  }
  let at = place.firstChild;
  for (const node of nodes) {
    const key = keyOf(node);
    const old = key ? kept.get(key) : at && !keyOf(at) ? at : null;
    if (!old || !sameKind(old, node)) {
      place.insertBefore(node, at);
      continue;
    }
    if (old === at) at = at.nextSibling;
    else place.insertBefore(old, at);
    become(old, node);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/** Show nodes in a place: what is there and like them is changed, and the focus stays. */
export function morph(place, nodes) {
  const focused = document.activeElement;
  children(place, nodes);
  if (focused !== document.activeElement && place.contains(focused)) focused.focus({ preventScroll: true }); // it was moved
}
