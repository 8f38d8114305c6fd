"use strict";

// All text from the service is set with textContent; nothing is ever parsed as HTML.

const REFRESH_MS = 3000; // between readings of the calibrations; their events are on /v1/calibrations/{id}/events
const TYPING_MS = 200; // a pause in typing before the transfer is asked for
const byId = (id) => document.getElementById(id);
const form = byId("transfer");
let chosen = null;
let offered = "";

function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(digits - 1).replace(/\.?0*e\+?/, "e") : String(Number(value.toPrecision(digits)));
}

function interval(pair) {
  return pair ? `${number(pair[0], 3)} to ${number(pair[1], 3)}` : "–";
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function fill(table, headings, rows) {
  const head = element("tr");
  for (const [text, isNumber] of headings) head.append(element("th", text, isNumber ? "number" : ""));
  table.replaceChildren(head);
  for (const cells of rows) {
    const line = element("tr");
    cells.forEach((cell, index) => {
      const box = element("td", undefined, headings[index][1] ? "number" : "");
      box.append(cell instanceof Node ? cell : document.createTextNode(cell));
      line.append(box);
    });
    table.append(line);
  }
}

async function ask(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || `status ${answer.status}`);
  return body;
}

function request() {
  const given = new FormData(form);
  const value = (name) => String(given.get(name)).trim();
  const base = { width: Number(value("base_width")), learning_rate: Number(value("learning_rate")) };
  if (value("epsilon")) base.epsilon = Number(value("epsilon"));
  if (value("weight_decay")) base.weight_decay = Number(value("weight_decay"));
  const body = {
    parameterization: value("parameterization"),
    optimizer: value("optimizer"),
    alignment: value("alignment"),
    base,
    target: { width: Number(value("target_width")) },
  };
  if (value("exponents")) body.exponents = { source: "calibration", id: value("exponents") };
  return body;
}

let asked = 0;
async function transfer() {
  const turn = ++asked;
  const failure = byId("transfer-error");
  try {
    const plan = await ask("/v1/transfers", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request()),
    });
    if (turn !== asked) return;
    failure.hidden = true;
    showPlan(plan);
  } catch (error) {
    if (turn !== asked) return;
    failure.textContent = error.message;
    failure.hidden = false;
  }
}

function showPlan(plan) {
  const cell = (quantity) => {
    if (!quantity) return "none";
    const box = element("span");
    if (quantity.value !== null) box.append(`${number(quantity.value)} `);
    box.append(element("small", `×${number(quantity.multiplier, 3)}`));
    box.title = `exponent ${number(quantity.exponent, 4)}`;
    return box;
  };
  fill(
    byId("layers"),
    [["Role"], ["Learning rate", true], ["Epsilon", true], ["Init std", true], ["Multiplier", true], ["Weight decay", true]],
    plan.layers.map((layer) => {
      const role = element("span", layer.role);
      role.title = layer.reason;
      return [role, cell(layer.learning_rate), cell(layer.epsilon), cell(layer.init_std), cell(layer.forward_multiplier), cell(layer.weight_decay)];
    }),
  );
  showWarnings("warnings", plan.warnings);
  const exponents = plan.provenance.exponents;
  byId("provenance").textContent =
    exponents.source === "theory"
      ? `Exponents from theory: ${exponents.reference}. × is target over base.`
      : `Learning-rate exponents measured by ${exponents.calibration_id} at widths ${exponents.widths.join(", ")}. × is target over base.`;
}

function showWarnings(id, warnings) {
  byId(id).replaceChildren(
    ...warnings.map((warning) => {
      const line = element("p", undefined, "warning");
      line.append(element("code", warning.code), `: ${warning.message}`);
      return line;
    }),
  );
}

function state(calibration) {
  const box = element("span", calibration.state, `state ${calibration.state}`);
  if (calibration.cancel_requested && !calibration.finished_at) box.textContent = "cancelling";
  return box;
}

function progress(calibration) {
  const { trials_done: done, trials_total: total } = calibration.progress;
  const box = element("span");
  const bar = element("progress");
  bar.max = Math.max(total, 1);
  bar.value = done;
  bar.setAttribute("aria-label", `${done} of ${total} trials`);
  box.append(bar, ` ${done}/${total}`);
  return box;
}

async function refresh() {
  try {
    const page = await ask("/v1/calibrations?limit=50");
    byId("status").textContent = "";
    showCalibrations(page.items);
  } catch (error) {
    byId("status").textContent = `not connected: ${error.message}`;
  }
  setTimeout(refresh, REFRESH_MS);
}

function showCalibrations(items) {
  byId("no-calibrations").hidden = items.length > 0;
  byId("calibrations").hidden = items.length === 0;
  fill(
    byId("calibrations"),
    [["Calibration"], ["State"], ["Trials"], ["Setting"], ["Proxy"], ["Widths"], ["Submitted"]],
    items.map((item) => {
      const { spec } = item;
      const alignment = typeof spec.alignment === "string" ? spec.alignment : "measured";
      return [
        element("code", item.id), state(item), progress(item), `${spec.parameterization}, ${spec.optimizer}, ${alignment}`,
        `${spec.proxy.architecture}, ${spec.proxy.dataset}`, spec.widths.join(" "), new Date(item.created_at).toLocaleString(),
      ];
    }),
  );
  // The newest with a result, or else the newest, is shown until another is chosen.
  if (chosen === null && items.length > 0) chosen = (items.find((item) => item.result) || items[0]).id;
  const lines = byId("calibrations").querySelectorAll("tr");
  items.forEach((item, index) => {
    const line = lines[index + 1];
    line.className = item.id === chosen ? "choice chosen" : "choice";
    line.tabIndex = 0;
    const choose = () => { chosen = item.id; byId("plot").removeAttribute("data-shown"); showDetail(item); showCalibrations(items); };
    line.addEventListener("click", choose);
    line.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(); });
    if (item.id === chosen) showDetail(item);
  });
  offerExponents(items.filter((item) => item.result && item.result.exponents.length > 0));
}

function showDetail(item) {
  byId("detail").hidden = false;
  byId("detail-title").textContent = `${item.id}: ${item.state}`;
  const version = `${item.progress.trials_done}-${item.state}`;
  const picture = byId("plot");
  if (picture.dataset.shown !== `${item.id}-${version}`) {
    picture.src = `${item.links.plot}?v=${encodeURIComponent(version)}`;
    byId("widths").src = `${item.links.widths}?v=${encodeURIComponent(version)}`;
    picture.dataset.shown = `${item.id}-${version}`;
  }
  byId("detail-reason").textContent = item.reason || "";
  byId("detail-reason").hidden = !item.reason;
  const result = item.result || { exponents: [], optima: [], warnings: [] };
  fill(
    byId("exponents"),
    [["Quantity"], ["Role"], ["Exponent", true], ["95 % interval", true], ["Theory", true]],
    result.exponents.map((found) => [
      found.quantity.replaceAll("_", " "), found.role, number(found.value), interval(found.interval),
      found.theory === null ? "–" : number(found.theory),
    ]),
  );
  fill(
    byId("laws"),
    [["Law over width"], ["Missed, octaves", true], ["Chosen"]],
    (result.candidates || []).map((law) => [
      { none: "theory, no shift", shift: "shift in 1/width", power: "power of width" }[law.name] || law.name,
      law.out_of_sample_error === null ? "–" : number(law.out_of_sample_error, 2), law.chosen ? "yes" : "",
    ]),
  );
  fill(
    byId("optima"),
    [["Width", true], ["Learning rate", true], ["95 % interval", true], ["Loss", true]],
    result.optima.map((found) => {
      const bound = { upper_bound: "≤ ", lower_bound: "≥ " }[found.kind] || "";
      return [String(found.width), bound + number(found.learning_rate), interval(found.interval), number(found.loss)];
    }),
  );
  showWarnings("detail-warnings", result.warnings);
}

function offerExponents(measured) {
  const ids = measured.map((item) => item.id).join(" ");
  if (ids === offered) return;
  offered = ids;
  const select = form.elements.exponents;
  const kept = select.value;
  const theory = element("option", "theory");
  theory.value = "";
  select.replaceChildren(theory, ...measured.map((item) => element("option", item.id)));
  select.value = measured.some((item) => item.id === kept) ? kept : "";
}

let pause = 0;
form.addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(transfer, TYPING_MS); });
form.addEventListener("submit", (event) => event.preventDefault());
transfer();
refresh();
