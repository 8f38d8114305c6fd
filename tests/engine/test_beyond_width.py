"""Depth, decay and Adam's constants of a proxy that differs from its base in more than width."""

import math
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from numpy.typing import NDArray

from widthwise.calibration.spec import CalibrationSpec
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Parameterization, WeightDecayMode
from workers.engine.beyond_width import ONLY_WIDTH, BeyondWidth
from workers.engine.data import load_corpus
from workers.engine.prescription import prescribe
from workers.engine.proxies import build_proxy
from workers.engine.proxies.contract import NORM_FLOOR
from workers.engine.training import draw, hyperparameters, trial_functions
from workers.engine.width_program import WidthProgram

Array = NDArray[np.float64]
RATE, DECAY, EPSILON, STEPS = 0.03, 0.7, 1e-3, 40
SHARE = 0.5  # of the learning rate at the first of 40 steps: the warm-up takes two
ROOT = 1 / math.sqrt(2)  # CompleteP's factors at α = ½ and twice the depth


@pytest.fixture
def deep(spec: dict[str, Any]) -> CalibrationSpec:
    proxy = {**spec["proxy"], "depth": 2, "sequence_length": 3, "batch_size": 8}
    return CalibrationSpec.from_dict({**spec, "optimizer": "adamw", "steps": STEPS, "epsilon": EPSILON, "proxy": proxy})


def gelu(x: Array) -> tuple[Array, Array]:
    """Its value and its derivative, in the form with tanh that JAX has by default."""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    tanh = np.tanh(inner)
    return x * (1 + tanh) / 2, (1 + tanh) / 2 + x * (1 - tanh**2) * slope / 2


def norm(x: Array) -> tuple[Array, Array]:
    """Rows of RMS 1, and what they were divided by."""
    size = np.sqrt(np.mean(x**2, axis=1, keepdims=True) + NORM_FLOOR)
    return x / size, size


def through_norm(gradient: Array, out: Array, size: Array) -> Array:
    moved: Array = (gradient - out * np.mean(gradient * out, axis=1, keepdims=True)) / size
    return moved


def gradients_of(params: dict[str, Array], window_BxT: NDArray[np.int64], branch: float) -> dict[str, Array]:
    """The gradients of the MLP of two blocks, whose branches are multiplied by `branch`, written out by hand."""
    x_BxT, target_B = window_BxT[:, :-1], window_BxT[:, -1]
    rows = np.arange(len(x_BxT))
    e = params["embedding"][x_BxT].reshape(len(x_BxT), -1)
    c, c_slope = gelu(e @ params["context"])
    h0, size0 = norm(c)
    a1, a1_slope = gelu(h0 @ params["block_0"])
    h1, size1 = norm(h0 + branch * a1)
    a2, a2_slope = gelu(h1 @ params["block_1"])
    h2, size2 = norm(h1 + branch * a2)
    logits = h2 @ params["readout"]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    d_logits = shares / shares.sum(axis=1, keepdims=True)
    d_logits[rows, target_B] -= 1
    d_logits /= len(x_BxT)

    d_y2 = through_norm(d_logits @ params["readout"].T, h2, size2)
    d_a2 = branch * d_y2 * a2_slope
    d_y1 = through_norm(d_y2 + d_a2 @ params["block_1"].T, h1, size1)
    d_a1 = branch * d_y1 * a1_slope
    d_c = through_norm(d_y1 + d_a1 @ params["block_0"].T, h0, size0) * c_slope
    d_e = (d_c @ params["context"].T).reshape(*x_BxT.shape, -1)
    d_embedding = np.zeros_like(params["embedding"])
    np.add.at(d_embedding, x_BxT, d_e)
    return {
        "embedding": d_embedding,
        "context": e.T @ d_c,
        "block_0": h0.T @ d_a1,
        "block_1": h1.T @ d_a2,
        "readout": h2.T @ d_logits,
    }


def adamw_step(name: str, weight: Array, gradient: Array, mode: WeightDecayMode) -> Array:
    """The first step of Adam, where both moments are the gradient's own after bias correction."""
    inside = ROOT if name.startswith("block") else 1.0
    rate, epsilon = SHARE * RATE * inside, EPSILON * inside
    # λ stays as it was, and η·λ falls with η; independent decay then falls as much, and coupled decay as the gradient
    match mode:
        case WeightDecayMode.DECOUPLED:
            return weight - rate * (gradient / (np.abs(gradient) + epsilon) + DECAY * weight)
        case WeightDecayMode.INDEPENDENT:
            return weight - rate * gradient / (np.abs(gradient) + epsilon) - SHARE * DECAY * inside * weight
        case WeightDecayMode.COUPLED:
            total = gradient + DECAY * inside * weight
            return weight - rate * total / (np.abs(total) + epsilon)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("mode", WeightDecayMode)
def test_a_step_with_branches_and_decay_is_that_of_a_reference(deep: CalibrationSpec, mode: WeightDecayMode) -> None:
    rules = {"depth": {"rule": "completep", "alpha": 0.5}}
    beyond = BeyondWidth.from_dict({"depth": 1, "weight_decay": DECAY, "weight_decay_mode": mode.value, "rules": rules})
    prescription = prescribe(deep, build_proxy(deep.proxy), 8, beyond)
    proxy = build_proxy(deep.proxy, prescription.residual_multiplier)
    corpus = load_corpus("python_docs")
    draws = draw(0, proxy.tensor_shapes(8), steps=STEPS, batch_size=8, windows=9000, dtype=np.float64)
    functions = trial_functions(
        proxy,
        deep.optimizer,
        steps=STEPS,
        held_out_bytes=corpus.held_out.size,
        decay_mode=beyond.decay_mode(deep.optimizer),
        dtype=np.float64,
    )
    with jax.numpy_dtype_promotion("standard"):  # optax's own counters
        hyper = hyperparameters(prescription, RATE, np.float64)
        before = jax.jit(functions.start)(hyper, draws.normals)
        after, _ = jax.jit(functions.advance)(hyper, before, corpus.train, draws.starts, (np.int32(0), np.int32(1)))
    window = corpus.train[draws.starts[0][:, None] + np.arange(4)].astype(np.int64)
    params = {name: np.asarray(value, np.float64) for name, value in before.params.items()}
    for name, gradient in gradients_of(params, window, ROOT).items():
        expected = adamw_step(name, params[name], gradient, mode)
        np.testing.assert_allclose(after.params[name], expected, rtol=1e-9, atol=1e-11, err_msg=name)


def test_a_base_of_the_same_sizes_changes_no_number(deep: CalibrationSpec) -> None:
    proxy = build_proxy(deep.proxy)
    rules = {"depth": "completep", "batch": "square_root", "tokens": "default", "weight_decay": "timescale"}
    same = BeyondWidth.from_dict({"depth": 2, "batch_size": 8, "steps": STEPS, "rules": rules})
    plain = prescribe(deep, proxy, 16)
    assert prescribe(deep, proxy, 16, same) == replace(plain, constants={"b1": 0.9, "b2": 0.98})
    assert (plain.residual_multiplier, plain.constants) == (1.0, {})


def test_rules_of_the_batch_reach_adams_constants_and_the_rates(deep: CalibrationSpec) -> None:
    beyond = BeyondWidth.from_dict({"batch_size": 2, "beta1": 0.95, "rules": {"batch": "square_root"}})
    program = WidthProgram.of(deep, 8, load_corpus("python_docs"), beyond)
    assert program.prescription.learning_rates == pytest.approx(dict.fromkeys(program.tensors, 2.0))
    assert program.prescription.constants == pytest.approx({"b1": 0.8, "b2": 0.92})


def test_decay_over_width_follows_the_rule_that_is_named(deep: CalibrationSpec) -> None:
    mup, proxy = replace(deep, parameterization=Parameterization.MUP), build_proxy(deep.proxy)
    named = BeyondWidth.from_dict({"rules": {"weight_decay": "compute_optimal"}})
    kept, falling = (prescribe(mup, proxy, 32, each) for each in (ONLY_WIDTH, named))
    product = {
        each: each_prescription.learning_rates["block_0"] * each_prescription.weight_decays["block_0"]
        for each, each_prescription in (("kept", kept), ("falling", falling))
    }
    assert product == pytest.approx({"kept": 0.1, "falling": 0.025})


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"beyond_width\.heads is unknown; give one of depth, batch_size"):
        BeyondWidth.from_dict({"heads": 4})
