// Nodes, tables and messages. All text is set as text and never parsed as HTML.

import { morph } from "/assets/shared/morph.js";

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

function furnished(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

/** An element with its attributes; those that are null or false are left out. */
export function make(name, attributes = {}, ...children) {
  return furnished(document.createElement(name), attributes, children);
}

/** The same for an element of a picture. */
export function draw(name, attributes = {}, ...children) {
  return furnished(document.createElementNS(SVG, name), attributes, children);
}

/** A text whose `code` stands between backticks, as nodes. */
export function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : document.createTextNode(part)));
}

/** A dotted name as nodes that break after its parts, and not within a word. */
export function breakable(name) {
  return name.split(/(?<=[._/])/).flatMap((part, index) => (index > 0 ? [make("wbr"), part] : [part]));
}

export function badge(state, text = state) {
  return make("span", { class: `state ${state}` }, text);
}

/**
 * Fill a table. headings: [text, is a number, a node instead of the text]; rows: { key, cells, ...attributes }, cells of texts and nodes.
 *
 * The roles are stated, since narrow screens show a row as a block, and a browser then forgets that it was a row.
 */
export function fill(table, headings, rows) {
  const head = make("tr", { role: "row" }, ...headings.map(([text, isNumber, node]) => make("th", { scope: "col", role: "columnheader", class: isNumber ? "number" : null }, node ?? text)));
  const lines = rows.map(({ key, cells, ...attributes }) => make("tr", { role: "row", "data-key": key, ...attributes }, ...cells.map((cell, index) => {
    const [label, isNumber] = headings[index];
    if (index === 0) return make("th", { scope: "row", role: "rowheader", class: isNumber ? "number" : null, "data-label": label }, cell);
    return make("td", { role: "cell", class: isNumber ? "number" : null, "data-label": label }, cell);
  })));
  table.setAttribute("role", "table");
  const parts = [make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" }, ...lines)];
  morph(table, table.caption ? [table.caption.cloneNode(true), ...parts] : parts);
}

export function warningNodes(warnings) {
  return warnings.map((warning) => make("p", { class: "warning", "data-key": `${warning.code} ${warning.message}` }, make("code", {}, warning.code), " ", ...prose(warning.message)));
}

/** Show a message, or hide its element if there is no message. */
export function tell(id, message) {
  const place = byId(id);
  if (place.textContent !== (message || "")) place.textContent = message || "";
  place.hidden = !message;
}
