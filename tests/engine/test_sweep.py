"""Shards: every trial is there, repeats bit for bit, learns, and a diverged one says so."""

import json
from math import log
from typing import Any

import numpy as np
import pytest

from tests.asjson import run_flops
from tests.engine.jobs import run_sweep
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import TrialStatus
from workers.engine.data import load_corpus
from workers.engine.prescription import prescribe
from workers.engine.proxies import build_proxy
from workers.engine.width_program import flops_of

SHARD = {"width": 16, "learning_rates": [0.01, 0.04], "seeds": [0, 1]}


@pytest.fixture(autouse=True)
def relaxed_promotion(strict_promotion: None) -> Any:
    import jax

    with jax.numpy_dtype_promotion("standard"):  # optax's own counters
        yield


def unigram_entropy() -> float:
    """Nats a byte of the best guess that sees no context."""
    counts = np.bincount(load_corpus("python_docs").held_out, minlength=256)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def test_a_shard_yields_every_trial_and_repeats_bit_for_bit(spec: dict[str, Any]) -> None:
    heard: list[tuple[int, int, int, int]] = []
    first = list(run_sweep(spec, SHARD, on_progress=lambda *progress: heard.append(progress)))
    second = list(run_sweep(spec, SHARD))
    assert [(t.learning_rate, t.seed) for t in first] == [(0.01, 0), (0.04, 0), (0.01, 1), (0.04, 1)]
    assert [t.loss for t in first] == [t.loss for t in second]
    assert len({t.loss for t in first}) == 4
    assert all(t.status == "completed" and t.steps == 30 and t.seconds > 0 for t in first)
    each = run_flops(spec, 16)
    assert [t.flops for t in first] == pytest.approx([each] * 4, rel=1e-12)
    assert heard == [(trial, 4, step, 30) for trial in (1, 2, 3, 4) for step in range(3, 31, 3)]


@pytest.mark.parametrize("architecture", ["mlp", "transformer"])
def test_a_trial_learns_more_than_byte_frequencies(spec: dict[str, Any], architecture: str) -> None:
    long = {**spec, "steps": 120, "proxy": {**spec["proxy"], "architecture": architecture, "sequence_length": 8}}
    (trial,) = run_sweep(long, {"width": 16, "learning_rates": [0.03], "seeds": [0]})
    assert trial.loss is not None
    assert trial.loss < unigram_entropy() - 0.3


def test_stored_trials_are_skipped_and_change_no_other(spec: dict[str, Any]) -> None:
    everything = {(t.learning_rate, t.seed): t.loss for t in run_sweep(spec, SHARD)}
    rest = list(run_sweep(spec, SHARD, done=[[0.01, 0], [0.04, 1]]))
    assert {(t.learning_rate, t.seed): t.loss for t in rest} == {key: everything[key] for key in ((0.04, 0), (0.01, 1))}
    assert list(run_sweep(spec, SHARD, done=list(everything))) == []


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 1e4), ("adam", 1e38)])
def test_a_diverged_trial_stops_early_and_has_no_loss(spec: dict[str, Any], optimizer: str, rate: float) -> None:
    shard = {"width": 16, "learning_rates": [rate, 0.01], "seeds": [0]}
    before, diverged = run_sweep({**spec, "optimizer": optimizer}, shard)
    assert before.status == "completed"
    assert (diverged.status, diverged.loss) == ("diverged", None)
    assert diverged.steps < 30
    json.dumps(diverged.to_dict(), allow_nan=False)


@pytest.mark.parametrize("architecture", ["mlp", "transformer"])
def test_the_trials_cost_what_the_search_counts_on(spec: dict[str, Any], architecture: str) -> None:
    asked = {**spec, "proxy": {**spec["proxy"], "architecture": architecture, "sequence_length": 32}}
    for width in (8, 16):
        reported = flops_of(CalibrationSpec.from_dict(asked), width, 30, evaluated=True)
        assert run_flops(asked, width) == pytest.approx(reported, rel=1e-12)


def test_a_trial_is_the_record_of_the_contract() -> None:
    trial = Trial(
        width=8, learning_rate=0.1, seed=0, status=TrialStatus.COMPLETED, loss=2.0, seconds=0.5, steps=3, flops=1e6
    )
    assert trial.to_dict() == {
        "width": 8,
        "learning_rate": 0.1,
        "seed": 0,
        "status": "completed",
        "loss": 2.0,
        "seconds": 0.5,
        "steps": 3,
        "flops": 1e6,
        "role": None,
        "gamma": 1.0,
        "horizon": None,
    }


def test_a_gamma_shard_multiplies_the_learning_rate_of_one_role(spec: dict[str, Any]) -> None:
    shard = {
        "kind": "gamma",
        "width": 16,
        "learning_rates": [0.01],
        "seeds": [0],
        "role": "hidden",
        "gammas": [1.0, 4.0],
    }
    one, four = run_sweep(spec, shard)
    (plain,) = run_sweep(spec, {"width": 16, "learning_rates": [0.01], "seeds": [0]})
    assert (four.role, four.gamma, four.learning_rate, four.horizon) == ("hidden", 4.0, 0.01, None)
    assert one.loss == plain.loss
    assert four.loss != plain.loss
    # every role at 4 is the learning rate at 4; the hidden tensors alone are not
    (faster,) = run_sweep(spec, {"width": 16, "learning_rates": [0.04], "seeds": [0]})
    assert four.loss != faster.loss
    everything = {"role": "embedding", "gammas": [4.0], **{k: shard[k] for k in ("kind", "width", "seeds")}}
    (embedding,) = run_sweep(spec, {**everything, "learning_rates": [0.01]})
    assert embedding.loss not in (four.loss, plain.loss)
    # a stored trial of the plain sweep is not one of this shard
    rest = list(run_sweep(spec, shard, done=[[0.01, 0], [0.01, 0, "hidden", 1.0, None]]))
    assert [(trial.gamma, trial.loss) for trial in rest] == [(4.0, four.loss)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role": None}, "shard.role"),
        ({"role": "vector"}, "shard.role"),
        ({"gammas": []}, "shard.gammas"),
        ({"kind": "horizon"}, "shard.kind"),
    ],
)
def test_a_gamma_shard_that_can_not_be_run_names_its_field(
    spec: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    shard = {**SHARD, "kind": "gamma", "role": "hidden", "gammas": [1.0]}
    with pytest.raises(InvalidInputError) as raised:
        next(run_sweep(spec, {**shard, **change}))
    assert raised.value.field == field


def test_what_is_done_has_one_of_two_forms(spec: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"done holds \[0.01\]"):
        next(run_sweep(spec, SHARD, done=[[0.01]]))


def test_other_parameterizations_and_measured_alignments_run(spec: dict[str, Any]) -> None:
    at_least_uniform = log(256)
    measured = {"hidden": {"alpha": 0.8, "omega": 0.5, "u": 0.7}, "readout": {"alpha": 0.9, "omega": 0.6, "u": 0.7}}
    for parameterization, alignment in (("mup", "none"), ("ntk", measured)):
        chosen = {**spec, "parameterization": parameterization, "alignment": alignment}
        (trial,) = run_sweep(chosen, {"width": 16, "learning_rates": [0.01], "seeds": [0]})
        assert trial.loss is not None
        assert trial.loss < at_least_uniform


def test_the_readout_omega_replaces_that_of_any_alignment(spec: dict[str, Any]) -> None:
    full = {"alpha": 1.0, "omega": 0.5, "u": 1.0}
    measured = {"hidden": full, "readout": {**full, "omega": 1.0}}

    def rates(alignment: Any, omega: float | None) -> dict[str, float]:
        sweep = CalibrationSpec.from_dict({**spec, "alignment": alignment, "readout_omega": omega})
        return dict(prescribe(sweep, build_proxy(sweep.proxy), 16).learning_rates)

    assert rates(measured, None) == rates("full", 1.0) == rates(measured, 1.0)
    assert rates(measured, 0.5) == rates("full", None) == rates("full", 0.5)
    assert rates("full", 1.0) != rates("full", 0.5)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"optimizer": "sophia"}, "spec.optimizer"),
        ({"parameterization": None}, "spec.parameterization"),
        ({"steps": 0}, "spec.steps"),
        ({"steps": True}, "spec.steps"),
        ({"epsilon": float("nan")}, "spec.epsilon"),
        ({"widths": []}, "spec.widths"),
        ({"alignment": 1}, "spec.alignment"),
        ({"proxy": {"architecture": "mlp", "depth": 0}}, "spec.proxy.depth"),
    ],
)
def test_a_bad_specification_names_its_field(spec: dict[str, Any], change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        next(run_sweep({**spec, **change}, SHARD))
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"width": -8}, "shard.width"),
        ({"seeds": [2**31]}, "shard.seeds"),
        ({"seeds": [0.5]}, "shard.seeds"),
        ({"learning_rates": [0.1, float("inf")]}, "shard.learning_rates"),
        ({"learning_rates": ["0.1"]}, "shard.learning_rates"),
    ],
)
def test_a_bad_shard_names_its_field(spec: dict[str, Any], change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        next(run_sweep(spec, {**SHARD, **change}))
    assert raised.value.field == field
