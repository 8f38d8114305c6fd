"""Measurements of a run: what is measured, held to hand-made cases; and a shard of them, from the specification on."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.asjson import check_coordinates, fit_gradients
from tests.engine.jobs import run_measurements
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import MEASURED_BY_RUNS, Measured, Optimizer, Role
from workers.engine.data import load_corpus
from workers.engine.measurements import KINDS, Observer
from workers.engine.measurements.alignment import alignment_ratios
from workers.engine.measurements.coordinates import coordinate_sizes
from workers.engine.measurements.gradients import gradient_sizes
from workers.engine.measurements.kind import MeasurementKind, RunView
from workers.engine.measurements.norms import rms
from workers.engine.optimizers import OPTIMIZERS, build_optimizer
from workers.engine.prescription import Prescription, prescribe
from workers.engine.proxies import build_proxy
from workers.engine.proxies.contract import Use

NAMES = ("epsilon", "alignment", "coordinates")
N = 400  # fan-in of the hand-made matrices


@pytest.fixture
def relaxed_promotion(strict_promotion: None) -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"):  # optax's own counters
        yield


def measured(spec: dict[str, Any], done: Any = (), **changes: Any) -> list[dict[str, Any]]:
    shard = {"kind": "measure", "width": 8, "learning_rates": [0.01], "seeds": [0], "measure": list(NAMES), **changes}
    found = [measurement.to_dict() for measurement in run_measurements(spec, shard, done)]
    json.dumps(found, allow_nan=False)
    return found


def use(weight: Any, inputs: Any) -> Use:
    return Use(
        jnp.asarray(inputs, np.float32), jnp.asarray(weight, np.float32), jnp.asarray(inputs @ weight, np.float32)
    )


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e25])
def test_the_norm_keeps_sizes_whose_squares_float32_loses(size: float) -> None:
    x = jnp.asarray(size * np.array([3.0, -4.0, 0.0, 0.0]), np.float32)
    assert float(rms(x)) == pytest.approx(2.5 * size, rel=1e-5)
    assert float(rms(jnp.zeros(3))) == 0


def test_alignment_is_one_for_what_lines_up_and_half_for_what_does_not() -> None:
    generator, ratios = np.random.default_rng(0), jax.jit(alignment_ratios)
    start, direction, other = generator.standard_normal((3, 1, N))
    weight = generator.standard_normal((N, N))
    outer = start.T @ generator.standard_normal((1, N))  # an update along the initial input
    now, init = use(weight + 0.01 * outer, start + other), use(weight, start)
    found = {key: math.log(float(value), N) for key, value in ratios({"w": now}, {"w": init})["w"].items()}
    assert found["alpha"] == pytest.approx(1.0, abs=0.01)
    assert found["omega"] == pytest.approx(0.5, abs=0.03)
    assert found["log_alignment"] == pytest.approx(0.5, abs=0.05)
    # the change of the input along the update's direction, and along the leading direction of the initial weights
    along = use(weight + 0.01 * outer, 3.0 * start)
    assert math.log(float(ratios({"w": along}, {"w": init})["w"]["u"]), N) == pytest.approx(1.0, abs=0.01)
    spike = direction.T @ direction
    grown = ratios({"w": use(spike, start + direction)}, {"w": use(spike, start)})["w"]
    assert math.log(float(grown["omega"]), N) == pytest.approx(1.0, abs=0.01)


def test_tables_have_no_alignment_and_no_input() -> None:
    table = Use(jnp.arange(3, dtype=np.int32), jnp.ones((4, 2)), jnp.ones((3, 2)))
    moved = table._replace(output=jnp.full((3, 2), 3.0))
    assert alignment_ratios({"embedding": table}, {"embedding": table}) == {}
    sizes = {key: float(value) for key, value in coordinate_sizes({"e": moved}, {"e": table})["e"].items()}
    assert sizes == {"output": 3.0, "output_change": 2.0}


@pytest.mark.usefixtures("relaxed_promotion")
@pytest.mark.parametrize("optimizer", [Optimizer.ADAM, Optimizer.ADAMW, Optimizer.ADAM_ATAN2])
def test_the_second_moment_after_one_update_is_the_gradient(optimizer: Optimizer) -> None:
    gradient = jnp.asarray([[3.0, -4.0], [0.0, 0.0]], np.float32)
    one = {"w": 0.1}
    adam = build_optimizer(OPTIMIZERS[optimizer], learning_rates=one, epsilons=one, weight_decays=one)
    params = {"w": jnp.zeros((2, 2))}
    sizes = jax.jit(gradient_sizes)
    state = adam.init(params)
    before = sizes({"w": gradient}, state)["w"]
    _, state = jax.jit(adam.update)({"w": gradient}, state, params)
    after = {key: float(value) for key, value in sizes({"w": gradient}, state)["w"].items()}
    assert float(before["second_moment_root"]) == 0
    assert float(before["second_moment_root_typical"]) == 0
    assert after["gradient_rms"] == pytest.approx(2.5)
    assert after["second_moment_root"] == pytest.approx(2.5)
    assert after["second_moment_root_typical"] == pytest.approx(math.sqrt(12))  # of the entries that moved


def test_entries_whose_square_is_lost_are_counted() -> None:
    gradient = jnp.asarray([1e-3, 1e-25, -1e-21, 0.0], np.float32)
    sizes = gradient_sizes({"w": gradient}, {"w": optax.identity().init(gradient)})["w"]
    assert float(sizes["underflow_share"]) == 0.5
    assert "second_moment_root" not in sizes


@pytest.mark.parametrize("steps", [1, 2, 7, 200])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_snapshots_lie_within_the_run(kind: MeasurementKind, steps: int) -> None:
    found = kind.steps(steps)
    assert list(found) == sorted(set(found))
    assert found[-1] <= steps
    assert (found[0] == 0) == (kind.name != "alignment")


def test_every_measurement_of_the_vocabulary_has_its_record() -> None:
    assert list(KINDS) == list(MEASURED_BY_RUNS)


@pytest.mark.usefixtures("relaxed_promotion")
def test_a_kind_of_its_own_is_a_record_and_no_more(spec: dict[str, Any]) -> None:
    """The engine runs a kind that exists only here along with the others; only the vocabulary would have to know it."""

    def weight_sizes(view: RunView) -> dict[str, dict[str, jax.Array]]:
        return {name: {"weight": rms(use.weight)} for name, use in view.now().items()}

    weights = MeasurementKind("weights", lambda steps: (0, steps), weight_sizes)
    observer, prescription = observer_of(spec, 8)
    data = observer.run(prescription, 0.01, 0, [KINDS["coordinates"], weights])
    init, end = (snapshot["tensors"] for snapshot in data["weights"]["snapshots"])
    assert [snapshot["step"] for snapshot in data["weights"]["snapshots"]] == [0, 30]
    for name, std in prescription.init_stds.items():
        assert init[name]["weight"] == pytest.approx(std, rel=0.3)
        assert end[name]["weight"] != init[name]["weight"]
    assert (init["readout"]["role"], init["readout"]["fan_in"]) == ("readout", 8)
    alone = observer.run(prescription, 0.01, 0, [KINDS["coordinates"]])
    assert data["coordinates"] == alone["coordinates"]


@pytest.mark.usefixtures("relaxed_promotion")
def test_one_run_gives_every_kind_for_every_seed(spec: dict[str, Any]) -> None:
    found = measured(spec, seeds=[0, 3])
    assert [(record["seed"], record["kind"]) for record in found] == [(s, k) for s in (0, 3) for k in NAMES]
    tensors = {"embedding", "context", "block_0", "readout"}
    for record in found:
        data = record["data"]
        assert (record["width"], data["learning_rate"], data["steps"], data["diverged_at"]) == (8, 0.01, 30, None)
        assert [snapshot["step"] for snapshot in data["snapshots"]] == list(KINDS[record["kind"]].steps(30))
        matrices = tensors - {"embedding"} if record["kind"] == "alignment" else tensors
        assert all(set(snapshot["tensors"]) == matrices for snapshot in data["snapshots"])
    first = found[0]["data"]["snapshots"][0]["tensors"]["context"]
    assert (first["role"], first["fan_in"], first["epsilon"]) == ("hidden", 32, 1e-12)
    # what is stored already is left out, and the rest is the same to the last bit
    left = measured(spec, seeds=[0, 3], done=[["epsilon", 0], ["alignment", 0], ["coordinates", 0], ["epsilon", 3]])
    assert left == found[4:]
    assert measured(spec, done=[[kind, 0] for kind in NAMES]) == []


def test_a_diverged_run_keeps_what_came_before(spec: dict[str, Any]) -> None:
    found = measured({**spec, "optimizer": "sgd"}, learning_rates=[1e30], measure=["epsilon", "coordinates"])
    for record in found:
        assert record["data"]["diverged_at"] in (1, 2)
        assert record["data"]["snapshots"][0]["step"] == 0


def observer_of(spec: dict[str, Any], width: int) -> tuple[Observer, Prescription]:
    read = CalibrationSpec.from_dict(spec)
    proxy = build_proxy(read.proxy)
    return Observer(read, proxy, width, load_corpus("python_docs")), prescribe(read, proxy, width)


def at_init(*names: str) -> list[MeasurementKind]:
    """Kinds that look at init alone."""
    return [replace(KINDS[name], steps=lambda _: (0,)) for name in names]


def test_a_tied_readout_is_measured_as_a_readout(spec: dict[str, Any]) -> None:
    tied = {**spec["proxy"], "architecture": "transformer", "tied": True, "batch_size": 2}
    observer, prescription = observer_of({**spec, "proxy": tied}, 8)
    seen = observer.run(prescription, 0.01, 0, at_init("alignment"))
    readout = seen["alignment"]["snapshots"][0]["tensors"]["readout"]
    assert (readout["role"], readout["fan_in"]) == ("readout", 8)
    assert readout["alpha"] is None  # nothing has moved yet
    assert readout["log_alignment"] == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize("field", ["learning_rates", "measure"])
def test_a_shard_with_nothing_to_do_is_refused(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError, match=f"shard.{field} is empty"):
        measured(spec, **{field: []})


def test_measurements_show_the_theory_and_a_planted_error(spec: dict[str, Any]) -> None:
    """From the first gradients and activations of muP at three widths to exponents and a verdict, right and spoilt."""
    widths, names = [16, 64, 256], ("epsilon", "coordinates")
    spec = {**spec, "parameterization": "mup", "widths": widths, "measure": list(names)}
    ones = dict.fromkeys(("embedding", "context", "block_0", "readout"), 1.0)
    right: list[dict[str, Any]] = []
    wrong: list[dict[str, Any]] = []
    for width in widths:
        observer, prescription = observer_of(spec, width)
        for records, used in ((right, prescription), (wrong, replace(prescription, forward_multipliers=ones))):
            for seed in range(2):
                seen = observer.run(used, 0.01, seed, at_init(*names))
                records += [Measurement(width, seed, Measured(kind), data).to_dict() for kind, data in seen.items()]
    gradients, passed, failed = (
        fit_gradients(spec, right),
        check_coordinates(spec, right),
        check_coordinates(spec, wrong),
    )
    assert gradients is not None
    for exponent in gradients.exponents:
        assert exponent.value == pytest.approx(exponent.theory, abs=0.12)  # narrow widths, two seeds
    assert passed is not None
    assert failed is not None
    assert passed.outcome == "pass"
    assert failed.outcome == "fail"
    assert any("the output of readout is proportional to" in reason for reason in failed.reasons)


@pytest.mark.usefixtures("relaxed_promotion")
def test_under_muon_only_adamws_tensors_have_a_second_moment(spec: dict[str, Any]) -> None:
    muon = CalibrationSpec.from_dict({**spec, "optimizer": "muon_unit"})
    proxy = build_proxy(muon.proxy)
    tensors = proxy.tensor_shapes(16)
    hidden = proxy.hidden_matrices(16)
    one = dict.fromkeys(tensors, 0.1)
    record = OPTIMIZERS[Optimizer.MUON_UNIT]
    transformation = build_optimizer(record, learning_rates=one, epsilons=one, weight_decays=one, hidden=hidden)
    params = {name: jnp.ones(tensor.shape, np.float32) for name, tensor in tensors.items()}
    sizes = gradient_sizes(params, transformation.init(params))
    assert {name for name, found in sizes.items() if "second_moment_root" in found} == set(tensors) - hidden
    assert len(hidden) == sum(tensor.role is Role.HIDDEN for tensor in tensors.values()) > 0
    prescribed = prescribe(muon, proxy, 16)
    assert {name for name, epsilon in prescribed.epsilons.items() if epsilon == 0} == hidden
