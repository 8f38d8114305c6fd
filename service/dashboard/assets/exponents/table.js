// The table of the library: headings that sort, a choice to compare, and under each row where it comes from.

import { byId, make } from "/assets/shared/elements.js";
import { morph } from "/assets/shared/morph.js";
import { COLUMNS } from "/assets/exponents/columns.js";
import { meaningOf } from "/assets/exponents/filters.js";
import { distance, isTheorys, planLink, rounded, signed, titleOf } from "/assets/exponents/measured.js";

const DIGITS = 12; // of a digest (chosen): enough to tell two apart

function heading({ name, heading: text, isNumber }, { column, down }) {
  const sorted = name === column;
  const arrow = make("span", { class: "arrow", "aria-hidden": "true" }, sorted ? (down ? "▼" : "▲") : "");
  return make(
    "th", { scope: "col", role: "columnheader", class: isNumber ? "number" : null, "aria-sort": sorted ? (down ? "descending" : "ascending") : null },
    make("button", { type: "button", class: "sort", "data-sort": name }, text, arrow),
  );
}

function line(row, isOpen) {
  const title = titleOf(row);
  const cells = COLUMNS.map(({ heading: label, isNumber, show }, index) => {
    if (index > 0) return make("td", { role: "cell", class: isNumber ? "number" : null, "data-label": label }, show(row));
    const choice = make("input", { type: "checkbox", "data-calibration": row.calibration_id, "aria-label": `Compare ${title}` });
    return make("th", { scope: "row", role: "rowheader", "data-label": label }, make("span", { class: "named" }, choice, show(row)));
  });
  const source = make("button", { type: "button", class: "plain small", "data-open": row.id, "aria-expanded": String(isOpen), "aria-label": `Source of ${row.quantity.replaceAll("_", " ")}, ${row.role}, ${title}` }, "Source");
  return make("tr", { role: "row", "data-key": row.id, class: isOpen ? "open" : null }, ...cells, make("td", { role: "cell", "data-label": "" }, source));
}

const short = (digest) => make("code", { title: digest }, digest.slice(0, DIGITS));

function againstTheory(row) {
  if (row.theory === null) return "theory says nothing of it";
  if (isTheorys(row)) return "theory's own value: the measured optima do not refute it; the interval says how far off it could be";
  const far = distance(row);
  const inside = row.interval === null ? "" : row.theory < row.interval[0] || row.theory > row.interval[1] ? ", outside the interval" : ", inside the interval";
  return `theory says ${rounded(row.theory, 0.1)}${inside}${far === null ? "" : `; the measured value is ${signed(far)} standard errors from it`}`;
}

/** Facts about where a row comes from, each [what, nodes]. */
function facts(row) {
  const { provenance } = row;
  const environments = provenance.environments ?? [];
  const each = (read) => [...new Set(environments.map(read).filter(Boolean))];
  const versions = each(({ versions: found }) => Object.entries(found ?? {}).map((pair) => pair.join(" ")).join(", "));
  const isElsewhere = provenance.runner === "external";
  return [
    ["What scales", [meaningOf(row.quantity) || row.quantity]],
    ["Widths", [`${row.widths.join(", ")}; ${row.degrees_of_freedom} ${row.degrees_of_freedom === 1 ? "degree" : "degrees"} of freedom`]],
    ["Against theory", [againstTheory(row)]],
    ["Proxy", [row.architecture]],
    ["Trained", [isElsewhere ? "elsewhere; the losses were uploaded" : "by this service's workers"]],
    ["Device", [each(({ device, device_kind: kind }) => (kind && kind !== device ? `${device} (${kind})` : device)).join("; ") || "not recorded"]],
    ["Versions", [versions.join("; ") || "not recorded"]],
    ["Code", provenance.code_sha256?.length > 0 ? provenance.code_sha256.flatMap((digest) => [short(digest), " "]) : ["not recorded"]],
    ["Specification", [short(provenance.spec_sha256)]],
    ["Data set", [`${row.dataset} `, ...each(({ dataset_sha256: digest }) => digest).flatMap((digest) => [short(digest), " "])]],
    ["Measured", [new Date(row.created_at).toLocaleString()]],
  ];
}

function source(row) {
  const isSayable = row.alignment !== "measured"; // a row has no numbers of an alignment
  const link = isSayable ? planLink(row.calibration_id, row) : make("span", { class: "hint" }, "Its alignment was measured: the calibration's page opens a plan with the numbers.");
  const about = make("dl", {}, ...facts(row).flatMap(([what, nodes]) => [make("dt", {}, what), make("dd", {}, ...nodes)]));
  const cell = make("td", { role: "cell", colspan: COLUMNS.length + 1 }, about, make("p", { class: "links" }, make("a", { href: `/calibrations/${row.calibration_id}` }, "Open the calibration"), " ", link));
  return make("tr", { role: "row", class: "source", "data-key": `${row.id} source` }, cell);
}

/** Show rows. opened: the id of the row whose source is open; chosen: the calibrations to compare. */
export function showTable(rows, order, opened, chosen) {
  const table = byId("exponents");
  const head = make("tr", { role: "row" }, ...COLUMNS.map((column) => heading(column, order)), make("th", { scope: "col", role: "columnheader" }, make("span", { class: "unseen" }, "Source")));
  const lines = rows.flatMap((row) => [line(row, row.id === opened), ...(row.id === opened ? [source(row)] : [])]);
  table.setAttribute("role", "table");
  table.setAttribute("aria-label", "Measured exponents");
  morph(table, [make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" }, ...lines)]);
  tick(chosen);
}

/** Tick the calibrations to compare in all of their rows. What a reader has ticked no longer follows its attribute. */
export function tick(chosen) {
  for (const box of byId("exponents").querySelectorAll("input[type=checkbox]")) box.checked = chosen.has(box.dataset.calibration);
}
