// Tables, numbers and badges. All text is set with textContent and never parsed as HTML.

export const byId = (id) => document.getElementById(id);

export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(digits - 1).replace(/\.?0*e\+?/, "e") : String(Number(value.toPrecision(digits)));
}

export function interval(pair) {
  return pair ? `${number(pair[0], 3)} to ${number(pair[1], 3)}` : "–";
}

export function ago(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}

export function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function badge(state, text = state) {
  return element("span", text, `state ${state}`);
}

/** Fill a table: headings are [text, is a number], rows are lists of texts and nodes. Returns the rows' elements. */
export function fill(table, headings, rows) {
  const head = element("tr");
  for (const [text, isNumber] of headings) {
    const cell = element("th", text, isNumber ? "number" : "");
    cell.scope = "col";
    head.append(cell);
  }
  const lines = rows.map((cells) => {
    const line = element("tr");
    cells.forEach((cell, index) => {
      const box = element("td", undefined, headings[index][1] ? "number" : "");
      box.append(cell instanceof Node ? cell : document.createTextNode(cell));
      line.append(box);
    });
    return line;
  });
  table.replaceChildren(head, ...lines);
  return lines;
}

export function showWarnings(id, warnings) {
  byId(id).replaceChildren(
    ...warnings.map((warning) => {
      const line = element("p", undefined, "warning");
      line.append(element("code", warning.code), `: ${warning.message}`);
      return line;
    }),
  );
}

/** Show a message, or hide its element if there is no message. */
export function tell(id, message) {
  const place = byId(id);
  place.textContent = message || "";
  place.hidden = !message;
}
