// The dashboard: the transfer form, the API key, and the periodic refresh.

import { showCalibrations, startOver } from "/assets/calibrations.js";
import { byId, element, fill, number, showWarnings, tell } from "/assets/elements.js";
import { ask, key, onKeyWanted, repeat, setKey } from "/assets/service.js";
import { showWorkers } from "/assets/workers.js";

const CALIBRATIONS_MS = 3000; // between readings of the list; events of the shown calibration arrive at once
const WORKERS_MS = 5000;
const TYPING_MS = 200; // a pause in typing before the transfer is requested
const form = byId("transfer");
let offered = "";

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
  try {
    const plan = await ask("/v1/transfers", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request()),
    });
    if (turn !== asked) return;
    tell("transfer-error", "");
    showPlan(plan);
  } catch (error) {
    if (turn === asked) tell("transfer-error", error.status === 401 ? "" : error.message);
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
  const source =
    exponents.source === "theory"
      ? `Exponents from theory: ${exponents.reference}.`
      : `Learning-rate exponents measured by ${exponents.calibration_id} at widths ${exponents.widths.join(", ")}.`;
  byId("provenance").textContent = `${source} × means target ÷ base. Weight decay is ${plan.provenance.weight_decay_mode}.`;
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

function trouble(error) {
  byId("status").textContent = error === null || error.status === 401 ? "" : `not connected: ${error.message}`;
}

const readCalibrations = repeat(CALIBRATIONS_MS, async () => offerExponents(await showCalibrations(() => readCalibrations())), trouble);
const readWorkers = repeat(WORKERS_MS, showWorkers, trouble);

function readAll() {
  startOver();
  readWorkers();
  transfer();
}

onKeyWanted((reason) => {
  byId("key-card").hidden = false;
  document.body.classList.add("locked");
  tell("key-error", reason);
  byId("forget-key").hidden = true;
});

byId("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = event.currentTarget.elements.key;
  setKey(field.value.trim());
  try {
    await ask("/v1/calibrations?limit=1");
  } catch (error) {
    if (error.status !== 401) tell("key-error", error.message);
    return;
  }
  field.value = "";
  byId("key-card").hidden = true;
  document.body.classList.remove("locked");
  byId("forget-key").hidden = false;
  readAll();
});
byId("forget-key").addEventListener("click", () => { setKey(null); location.reload(); });
byId("forget-key").hidden = !key();

let pause = 0;
form.addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(transfer, TYPING_MS); });
form.addEventListener("submit", (event) => event.preventDefault());
transfer();
