// The rows as a file.

import { distance } from "/assets/exponents/measured.js";

const FIELDS = {
  id: (row) => row.id, calibration_id: (row) => row.calibration_id, calibration_name: (row) => row.calibration_name,
  quantity: (row) => row.quantity, role: (row) => row.role, value: (row) => row.value, standard_error: (row) => row.standard_error,
  interval_low: (row) => row.interval?.[0], interval_high: (row) => row.interval?.[1], degrees_of_freedom: (row) => row.degrees_of_freedom,
  theory: (row) => row.theory, standard_errors_from_theory: distance, parameterization: (row) => row.parameterization,
  optimizer: (row) => row.optimizer, alignment: (row) => row.alignment, architecture: (row) => row.architecture, dataset: (row) => row.dataset,
  widths: (row) => row.widths.join(" "), created_at: (row) => row.created_at, spec_sha256: (row) => row.provenance.spec_sha256,
  code_sha256: (row) => (row.provenance.code_sha256 ?? []).join(" "),
  device: (row) => [...new Set((row.provenance.environments ?? []).map(({ device }) => device))].join(" "),
};

function field(value) {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The rows as CSV (RFC 4180), every number with all its digits; what is unknown is empty. */
export function csv(rows) {
  const lines = [Object.keys(FIELDS), ...rows.map((row) => Object.values(FIELDS).map((read) => read(row)))];
  return lines.map((line) => `${line.map(field).join(",")}\r\n`).join("");
}
