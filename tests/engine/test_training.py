"""Training as pure functions: the schedule, the draws, and the equivalences of the theory in float64."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np
import optax
import pytest

from widthwise.calibration.spec import CalibrationSpec, ProxySpec
from widthwise.errors import InvalidInputError
from widthwise.theory.optimizers import epsilon_power
from widthwise.vocabulary import Architecture, Optimizer
from workers.engine.data import load_corpus
from workers.engine.prescription import prescribe
from workers.engine.proxies import build_proxy
from workers.engine.training import (
    PIECE_POSITIONS,
    batch_pieces,
    cross_entropy,
    draw,
    held_out_starts,
    hyperparameters,
    schedule,
    training_windows,
    trial_functions,
)

MLP = ProxySpec(Architecture.MLP, depth=1, head_dim=4, sequence_length=3, batch_size=16, dataset="python_docs")
STEPS = 12

# base learning rates that move every tensor by about as much as its init within the dozen steps
RATES = {
    Optimizer.SGD: 0.5,
    Optimizer.ADAM: 0.02,
    Optimizer.ADAMW: 0.02,
    Optimizer.ADAM_ATAN2: 0.02,
    Optimizer.ADAFACTOR: 0.05,
    Optimizer.ADAFACTOR_UNSCALED: 0.02,
    Optimizer.ADAM_PARAMETER_SCALING: 0.05,
    Optimizer.LION: 0.01,
    Optimizer.NADAM: 0.02,
    Optimizer.ADAMAX: 0.02,
}


def shares(steps: int) -> jax.Array:
    return jax.vmap(lambda step: schedule(step, steps))(np.arange(steps, dtype=np.int32))


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 999])
def test_no_step_of_the_schedule_is_wasted(steps: int) -> None:
    share = shares(steps)
    assert (share > 0).all()
    assert (share <= 1).all()
    assert share.max() == 1


def test_the_schedule_at_two_hundred_steps() -> None:
    share = shares(200)
    np.testing.assert_allclose(share[:10], np.arange(1, 11) / 10, rtol=1e-6)
    np.testing.assert_array_equal(share[10:161], 1.0)
    np.testing.assert_allclose(share[160:], 1 - np.sqrt(np.arange(40) / 40), rtol=1e-5)


def test_a_seed_draws_the_same_batches_at_every_width() -> None:
    proxy = build_proxy(MLP)
    narrow, wide, other = (
        draw(seed, proxy.tensor_shapes(width), steps=9, batch_size=4, windows=1000)
        for seed, width in ((3, 8), (3, 32), (4, 8))
    )
    np.testing.assert_array_equal(narrow.starts, wide.starts)
    assert not np.array_equal(narrow.starts, other.starts)
    assert narrow.starts.min() >= 0
    assert narrow.starts.max() < 1000
    assert not np.array_equal(narrow.normals["embedding"], other.normals["embedding"])


@pytest.mark.parametrize("text_bytes", [5, 100, 40_000])
def test_held_out_windows_lie_in_the_text_and_reach_both_ends(text_bytes: int) -> None:
    proxy = build_proxy(ProxySpec(Architecture.TRANSFORMER, 1, 4, 4, 1, "python_docs"))
    starts = held_out_starts(text_bytes, proxy)
    assert starts.min() == 0
    assert starts.max() == text_bytes - 5
    assert starts.size * proxy.predictions >= 8192


def test_a_text_shorter_than_a_window_is_refused() -> None:
    proxy = build_proxy(MLP)
    for windows in (held_out_starts, training_windows):
        with pytest.raises(InvalidInputError, match="has 3 bytes, but a window needs 4"):
            windows(3, proxy)


def sweep_of(parameterization: str, optimizer: Optimizer, epsilon: float, form: str = "table_9") -> CalibrationSpec:
    spec: Mapping[str, Any] = {
        "parameterization": parameterization,
        "optimizer": optimizer.value,
        "alignment": "full",
        "readout_omega": 0.5,
        "form": form,
        "widths": [8, 24],
        "steps": STEPS,
        "epsilon": epsilon,
        "proxy": MLP.to_dict(),
    }
    return CalibrationSpec.from_dict(spec)


@cache
def compiled(optimizer: Optimizer) -> tuple[Any, Any]:
    """One program serves every parameterization: their numbers are traced."""
    corpus = load_corpus("python_docs")
    functions = trial_functions(
        build_proxy(MLP), optimizer, steps=STEPS, held_out_bytes=corpus.held_out.size, dtype=np.float64
    )
    return jax.jit(functions.start), jax.jit(functions.advance)


def loss_curve(sweep: CalibrationSpec, width: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Training loss at every step, float64."""
    corpus, proxy = load_corpus("python_docs"), build_proxy(MLP)
    windows = training_windows(corpus.train.size, proxy)
    draws = draw(
        0, proxy.tensor_shapes(width), steps=STEPS, batch_size=MLP.batch_size, windows=windows, dtype=np.float64
    )
    hyper = hyperparameters(prescribe(sweep, proxy, width), RATES[sweep.optimizer], np.float64)
    start, advance = compiled(sweep.optimizer)
    state, losses = start(hyper, draws.normals), []
    for step in range(STEPS):
        state, loss = advance(hyper, state, corpus.train, draws.starts, (np.int32(step), np.int32(step + 1)))
        losses.append(float(loss))
    return np.array(losses)


EQUIVALENT = [("standard", "ntk"), ("mup", "mean_field")]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("optimizer", RATES)
def test_equivalent_parameterizations_train_to_one_loss_curve(optimizer: Optimizer) -> None:
    """Everett et al. 2024, section 2.2, with an epsilon that matters: its rule of width is part of the equivalence."""
    epsilon = 1e-8 if epsilon_power(optimizer) == 2 else 1e-4
    with jax.numpy_dtype_promotion("standard"):  # optax's own counters
        for one, other in EQUIVALENT:
            curve = loss_curve(sweep_of(one, optimizer, epsilon), 24)
            np.testing.assert_allclose(loss_curve(sweep_of(other, optimizer, epsilon), 24), curve, rtol=1e-10)
            assert curve[-1] < curve[0] - 0.3  # something was learnt, so there is something to agree on


@pytest.mark.usefixtures("float64")
def test_the_forms_of_mup_train_to_one_loss_curve() -> None:
    with jax.numpy_dtype_promotion("standard"):
        curves = [
            loss_curve(sweep_of("mup", Optimizer.ADAM, 1e-6, form), 24) for form in ("table_9", "table_8", "table_3")
        ]
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-10)
    np.testing.assert_allclose(curves[2], curves[0], rtol=1e-10)


@pytest.mark.usefixtures("float64")
def test_all_parameterizations_are_one_model_at_the_base_and_two_beyond() -> None:
    with jax.numpy_dtype_promotion("standard"):
        at_base = [loss_curve(sweep_of(p, Optimizer.ADAM, 1e-12), 8) for pair in EQUIVALENT for p in pair]
        standard, mup = (loss_curve(sweep_of(p, Optimizer.ADAM, 1e-12), 24) for p in ("standard", "mup"))
    for curve in at_base[1:]:
        np.testing.assert_array_equal(curve, at_base[0])
    assert abs(standard - mup).max() > 1e-3


@pytest.mark.usefixtures("float64")
def test_a_batch_in_pieces_makes_the_step_of_the_whole_batch() -> None:
    spec = ProxySpec(
        Architecture.TRANSFORMER, depth=1, head_dim=4, sequence_length=32, batch_size=24, dataset="python_docs"
    )
    assert batch_pieces(spec.batch_size, spec.sequence_length, "cpu") == 3
    corpus, proxy = load_corpus("python_docs"), build_proxy(spec)
    sweep = replace(sweep_of("standard", Optimizer.SGD, 1e-9), proxy=spec)
    hyper = hyperparameters(prescribe(sweep, proxy, 8), 0.5, np.float64)
    draws = draw(0, proxy.tensor_shapes(8), steps=1, batch_size=24, windows=9000, dtype=np.float64)
    functions = trial_functions(proxy, Optimizer.SGD, steps=1, held_out_bytes=corpus.held_out.size, dtype=np.float64)
    state = jax.jit(functions.start)(hyper, draws.normals)
    after, loss = jax.jit(functions.advance)(hyper, state, corpus.train, draws.starts, (np.int32(0), np.int32(1)))
    whole, gradients = jax.jit(jax.value_and_grad(functions.loss))(state.params, hyper, corpus.train, draws.starts[0])
    np.testing.assert_allclose(loss, whole, rtol=1e-12)
    for name, gradient in gradients.items():
        moved = (state.params[name] - after.params[name]) / 0.5
        np.testing.assert_allclose(moved, gradient, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("batch_size", "predictions"), [(1, 1), (7, 64), (32, 64), (33, 64), (256, 1), (512, 1), (8, 512)]
)
def test_the_pieces_of_a_batch_are_equal_and_large_enough(batch_size: int, predictions: int) -> None:
    pieces = batch_pieces(batch_size, predictions, "cpu")
    assert batch_size % pieces == 0
    assert pieces == 1 or batch_size // pieces * predictions >= PIECE_POSITIONS
    assert batch_pieces(batch_size, predictions, "gpu") == 1


def test_the_cross_entropy_is_that_of_optax() -> None:
    generator = np.random.default_rng(0)
    logits, targets = generator.normal(0, 30, (3, 5, 256)).astype(np.float32), generator.integers(0, 256, (3, 5))
    ours, theirs = (
        jax.value_and_grad(lambda x, f=f: f(x, targets.astype(np.int32)).mean())(logits)
        for f in (cross_entropy, optax.softmax_cross_entropy_with_integer_labels)
    )
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("optimizer", RATES)
def test_every_multiplier_is_one_at_the_base(optimizer: Optimizer) -> None:
    prescription = prescribe(sweep_of("mup", optimizer, 1e-9), build_proxy(MLP), 8)
    assert set(prescription.learning_rates.values()) == {1.0}
    assert set(prescription.forward_multipliers.values()) == {1.0}
    assert set(prescription.weight_decays.values()) == {0.1}
    assert set(prescription.epsilons.values()) <= {1e-9, 0.0}
    assert prescription.init_stds["embedding"] == 1.0
    assert prescription.init_stds["context"] == pytest.approx(24**-0.5)


def test_a_wider_model_has_the_rates_of_table_1() -> None:
    prescription = prescribe(sweep_of("standard", Optimizer.ADAM, 1e-9), build_proxy(MLP), 32)
    assert prescription.learning_rates == {"embedding": 1.0, "context": 0.25, "block_0": 0.25, "readout": 0.25}
    assert prescription.epsilons["block_0"] == pytest.approx(0.5e-9)
    assert prescription.epsilons["readout"] == pytest.approx(1e-9)
