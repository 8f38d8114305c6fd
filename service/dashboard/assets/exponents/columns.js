// The columns of the library: what each shows, what it sorts by, and the rows in an order.

import { make } from "/assets/shared/elements.js";
import { distance, intervalOf, isTheorys, settingOf, signed, rounded, titleOf, withError, words } from "/assets/exponents/measured.js";
import { placeOf } from "/assets/exponents/filters.js";

export const ROLES = ["embedding", "hidden", "readout", "vector", "scalar", "all"]; // in the order of a forward pass

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "short" }); // one for all: to make one takes longer than to use it
const collator = new Intl.Collator(undefined, { numeric: true });

function fromTheory(row) {
  if (isTheorys(row)) return make("small", { title: "The measured optima do not refute theory, so its exponent stands." }, "not refuted");
  const far = distance(row);
  return far === null ? "–" : `${signed(far)} SE`;
}

/** name: in the address; sort: what it sorts by; show: what a cell holds. */
export const COLUMNS = [
  { name: "calibration", heading: "Calibration", sort: (row) => titleOf(row).toLowerCase(), show: (row) => make("a", { href: `/calibrations/${row.calibration_id}`, title: row.calibration_id }, titleOf(row)) },
  { name: "quantity", heading: "Quantity", sort: (row) => placeOf(row.quantity), show: (row) => words(row.quantity) },
  { name: "role", heading: "Role", sort: (row) => ROLES.indexOf(row.role), show: (row) => row.role },
  { name: "value", heading: "Exponent", isNumber: true, sort: (row) => row.value, show: (row) => withError(row.value, row.standard_error) },
  { name: "interval", heading: "95 % interval", isNumber: true, sort: (row) => row.interval && row.interval[1] - row.interval[0], show: intervalOf },
  { name: "theory", heading: "Theory", isNumber: true, sort: (row) => row.theory, show: (row) => (row.theory === null ? "–" : rounded(row.theory, 0.1)) },
  { name: "far", heading: "From theory", isNumber: true, sort: (row) => distance(row) && Math.abs(distance(row)), show: fromTheory },
  { name: "setting", heading: "Setting", sort: settingOf, show: settingOf },
  { name: "proxy", heading: "Proxy", sort: (row) => `${row.architecture}, ${row.dataset}`, show: (row) => `${row.architecture}, ${row.dataset}` },
  { name: "widths", heading: "Widths", sort: (row) => Math.max(...row.widths), show: (row) => (row.widths.length > 1 ? `${Math.min(...row.widths)} to ${Math.max(...row.widths)}` : String(row.widths)) },
  { name: "measured", heading: "Measured", sort: (row) => row.created_at, show: (row) => day.format(new Date(row.created_at)) },
];

const before = (one, other) => (typeof one === "string" ? collator.compare(one, other) : one - other);

/** The rows of a calibration together, the newest calibration first, by quantity and role. */
function together(rows) {
  const places = new Map();
  for (const row of rows) if (!places.has(row.calibration_id)) places.set(row.calibration_id, places.size);
  const place = (row) => [places.get(row.calibration_id), placeOf(row.quantity), ROLES.indexOf(row.role)];
  const keyed = rows.map((row) => [place(row), row]);
  return keyed.sort(([one], [other]) => one[0] - other[0] || one[1] - other[1] || one[2] - other[2]).map(([, row]) => row);
}

/** The rows in an order; equal ones stay together as without one, and what is unknown comes last either way. */
export function ordered(found, { column, down }) {
  const rows = together(found);
  const sort = COLUMNS.find((each) => each.name === column)?.sort;
  if (!sort) return rows;
  const keyed = rows.map((row) => [sort(row), row]);
  const known = keyed.filter(([key]) => key !== null).sort(([one], [other]) => (down ? before(other, one) : before(one, other)));
  return [...known, ...keyed.filter(([key]) => key === null)].map(([, row]) => row);
}
