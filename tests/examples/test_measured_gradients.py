"""Gradients and activations at init, measured on a network whose width and feed-forward grow by different ratios.

This holds the split of every exponent over fan-in and fan-out (widthwise/theory/scaling.py) against the thing itself.
β = a + b of the readout, a residual stream of d units receives gradients of RMS d^(−β); f units of feed-forward, and

    up U: d → f    std d^(−½)·s_U,  s_U = min(1, √(f/d)) in muP's class and 1 else
    down D: f → d  std f^(−½)·s_D,  s_D = min(1, √(d/f)) in muP's class and 1 else
    forward        U z ~ s_U,  D relu(U z) ~ s_U s_D
    backward       U's output receives √d · f^(−½) s_D · d^(−β), and the gain before U  √f · d^(−½) s_U times that

so RMS(grad) is d^(−β) s_U for D, √d f^(−½) s_D d^(−β) for U and its bias, d^(−β) s_U s_D for the gain.  With SP and NTK
(β = ½) that is the plan's fan_out^(−β) at any shape.  In muP's class (β = 1) it is the plan's value, which is that of
the spectral condition, up to `start`: a block whose widths differ starts √(min/max) too small, because random signals
pass a narrowing matrix less well than learned, aligned ones.
"""

import math
from functools import cache

import numpy as np
import pytest

from tests.examples.residual_network import BLOCKS, TOKENS, Pass, Weight, Weights, run
from widthwise import Base, Parameterization, Plan, Target, Tensor, transfer

#: (width, feed-forward) at each size; the first is the base.
GROWTHS = {
    "feed-forward faster": [(64, 128), (128, 362), (256, 1024), (512, 2896)],
    "feed-forward slower": [(64, 512), (128, 724), (256, 1024), (512, 1448)],
    "feed-forward narrower": [(128, 64), (256, 91), (512, 128), (1024, 181)],
}
KINDS = tuple(Parameterization)
SEEDS = 4
SMALL = 0.1  # readout and down-projections start small: else softmax and stream carry terms of order 1/√width
TOLERANCE = 0.05


def tensors(base: tuple[int, int], target: tuple[int, int]) -> list[Tensor]:
    (d, f), (e, g) = base, target
    listed = [
        Tensor("embedding", (d, TOKENS), (e, TOKENS), (1,), (0,)),
        Tensor("readout", (TOKENS, d), (TOKENS, e), (1,), (0,)),
        Tensor("gain", (d,), (e,)),
    ]
    for k in range(BLOCKS):
        listed += [
            Tensor(f"{k}.up", (f, d), (g, e), (1,), (0,)),
            Tensor(f"{k}.down", (d, f), (e, g), (1,), (0,)),
            Tensor(f"{k}.gain", (d,), (e,)),
            Tensor(f"{k}.bias", (f,), (g,)),
        ]
    return listed


def base_std(tensor: Tensor) -> float:
    """Init of the base, one for every parameterization: they differ in what becomes of it at the target."""
    if tensor.name == "embedding":
        return 1.0
    small = 1.0 if tensor.name.endswith("up") else SMALL
    return small / math.sqrt(tensor.base_shape[1])


def planned(kind: Parameterization, base: tuple[int, int], target: tuple[int, int]) -> Plan:
    return transfer(
        parameterization=kind,
        optimizer="adam",
        base=Base(),
        target=Target(),
        tensors=tensors(base, target),
    )


def initialised(plan: Plan, listed: list[Tensor], normal: dict[str, np.ndarray]) -> Weights:
    """Weights of the target as the plan starts them; gains are 1 and biases 0."""
    weights: Weights = {}
    for tensor in listed:
        if len(tensor.target_shape) == 1:
            weights[tensor.name] = Weight(np.full(tensor.target_shape, float(tensor.name.endswith("gain"))))
        else:
            of = plan.tensor(tensor.name)
            std = base_std(tensor) * of.init_std.multiplier
            weights[tensor.name] = Weight(std * normal[tensor.name], of.forward_multiplier.multiplier)
    return weights


def rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(array**2)))


def observed(shown: Pass) -> dict[str, float]:
    """RMS of every gradient and activation, by name."""
    found = {f"grad {name}": rms(gradient) for name, gradient in shown.gradients.items()}
    found["stream"] = rms(shown.stream)
    for k in range(BLOCKS):
        found[f"{k} hidden"], found[f"{k} branch"] = rms(shown.hidden[k]), rms(shown.branches[k])
    return found


@cache
def measured(growth: str) -> dict[Parameterization, dict[str, float]]:
    """Log-log slope over width of everything observed, by parameterization; geometric means over the seeds."""
    sizes = GROWTHS[growth]
    logs: dict[Parameterization, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for size in sizes:
        listed = tensors(sizes[0], size)
        plans = {kind: planned(kind, sizes[0], size) for kind in KINDS}
        sums: dict[Parameterization, dict[str, float]] = {kind: {} for kind in KINDS}
        for seed in range(SEEDS):
            rng = np.random.default_rng([seed, *size])
            normal = {t.name: rng.standard_normal(t.target_shape) for t in listed if len(t.target_shape) == 2}
            x_B, y_B = np.arange(TOKENS), rng.permutation(TOKENS)
            for kind, plan in plans.items():
                for name, value in observed(run(initialised(plan, listed, normal), x_B, y_B)).items():
                    sums[kind][name] = sums[kind].get(name, 0.0) + math.log(value) / SEEDS
        for kind in KINDS:
            logs[kind].append(sums[kind])
    return {
        kind: {name: slope(growth, [entry[name] for entry in entries]) for name in entries[0]}
        for kind, entries in logs.items()
    }


def slope(growth: str, logs: list[float]) -> float:
    return float(np.polyfit([math.log(width) for width, _ in GROWTHS[growth]], logs, 1)[0])


def start(kind: Parameterization, size: tuple[int, int]) -> tuple[float, float]:
    """(s_U, s_D) of the derivation above."""
    width, forward = size
    if kind in (Parameterization.STANDARD, Parameterization.NTK):
        return 1.0, 1.0
    return min(1.0, math.sqrt(forward / width)), min(1.0, math.sqrt(width / forward))


@pytest.mark.parametrize("growth", GROWTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_follow_the_plan(kind: Parameterization, growth: str) -> None:
    sizes = GROWTHS[growth]
    for name in (tensor.name for tensor in tensors(sizes[0], sizes[0])):
        expected = []
        for size in sizes:
            s_up, s_down = start(kind, size)
            # how far below the plan's value the tensors of a block start; those outside the blocks do not
            missing = {"up": s_up, "down": s_up, "bias": s_up, "gain": s_up * s_down}[name[2:]] if "." in name else 1.0
            expected.append(math.log(planned(kind, sizes[0], size).tensor(name).gradient_rms.multiplier * missing))
        found = measured(growth)[kind][f"grad {name}"]
        assert found == pytest.approx(slope(growth, expected), abs=TOLERANCE), name


@pytest.mark.parametrize("growth", GROWTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_activations_keep_their_size(kind: Parameterization, growth: str) -> None:
    """Constant over width; in muP's class a block whose widths differ starts smaller, as its matrices do."""
    found = measured(growth)[kind]
    assert found["stream"] == pytest.approx(0.0, abs=TOLERANCE)
    starts = [start(kind, size) for size in GROWTHS[growth]]
    for k in range(BLOCKS):
        hidden = slope(growth, [math.log(s_up) for s_up, _ in starts])
        branch = slope(growth, [math.log(s_up * s_down) for s_up, s_down in starts])
        assert found[f"{k} hidden"] == pytest.approx(hidden, abs=TOLERANCE)
        assert found[f"{k} branch"] == pytest.approx(branch, abs=TOLERANCE)


def trained(weights: Weights, plan: Plan, learning_rate: float, steps: int) -> Weights:
    """Full-batch Adam (β .9, .95, ε 0) at the plan's learning rates; bases are in units of the base's init."""
    x_B, y_B = np.arange(TOKENS), np.random.default_rng(0).permutation(TOKENS)
    first: dict[str, np.ndarray] = {name: np.zeros_like(weight.array) for name, weight in weights.items()}
    second = {name: np.zeros_like(weight.array) for name, weight in weights.items()}
    fan_in = {t.name: t.base_shape[1] for t in tensors(NARROW[0], NARROW[0]) if len(t.base_shape) == 2}
    for step in range(1, steps + 1):
        for name, gradient in run(weights, x_B, y_B).gradients.items():
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.95 * second[name] + 0.05 * gradient**2
            mean, square = first[name] / (1 - 0.9**step), second[name] / (1 - 0.95**step)
            rate = learning_rate * plan.tensor(name).learning_rate.multiplier
            if name != "embedding":
                rate /= math.sqrt(fan_in.get(name, 1))
            moved = mean / np.sqrt(square, out=np.ones_like(square), where=square > 0)
            weights = {**weights, name: weights[name]._replace(array=weights[name].array - rate * moved)}
    return weights


NARROW = GROWTHS["feed-forward narrower"][:3]


def test_training_brings_narrow_blocks_to_the_plans_gradients() -> None:
    """The start of muP's narrowed matrices does not last: once signals are learned, gradients follow the plan."""
    x_B, y_B = np.arange(TOKENS), np.random.default_rng(0).permutation(TOKENS)
    logs: dict[str, list[float]] = {}
    plans = [planned(Parameterization.MUP, NARROW[0], size) for size in NARROW]
    for size, plan in zip(NARROW, plans, strict=True):
        listed = tensors(NARROW[0], size)
        rng = np.random.default_rng([0, *size])
        normal = {t.name: rng.standard_normal(t.target_shape) for t in listed if len(t.target_shape) == 2}
        before = initialised(plan, listed, normal)
        for when, weights in (("before", before), ("after", trained(before, plan, 0.02, 10))):
            for name, gradient in run(weights, x_B, y_B).gradients.items():
                logs.setdefault(f"{when} {name}", []).append(math.log(rms(gradient)))
    widths = [math.log(width) for width, _ in NARROW]
    for name in (f"{k}.{part}" for k in range(BLOCKS) for part in ("up", "down")):
        before_slope, after_slope = (np.polyfit(widths, logs[f"{when} {name}"], 1)[0] for when in ("before", "after"))
        of_plan = [math.log(plan.tensor(name).gradient_rms.multiplier) for plan in plans]
        expected = np.polyfit(widths, of_plan, 1)[0]
        assert before_slope < expected - 0.15, name
        assert after_slope == pytest.approx(expected, abs=0.12), name


def test_the_growths_tell_the_two_fans_apart() -> None:
    """Exchanging fan-in and fan-out would move the slopes by far more than the tolerance."""
    for growth, sizes in GROWTHS.items():
        widths, forwards = ([math.log(s[i]) for s in sizes] for i in (0, 1))
        assert abs(slope(growth, forwards) - slope(growth, widths)) > 4 * TOLERANCE


def test_backward_pass_agrees_with_finite_differences() -> None:
    rng = np.random.default_rng(0)
    listed = tensors((6, 9), (6, 9))
    weights: Weights = {t.name: Weight(rng.standard_normal(t.target_shape), 0.7) for t in listed}
    x_B, y_B = rng.integers(0, TOKENS, 5), rng.integers(0, TOKENS, 5)
    gradients = run(weights, x_B, y_B).gradients
    assert gradients.keys() == weights.keys()
    for name, weight in weights.items():
        direction = rng.standard_normal(weight.array.shape)
        losses = []
        for step in (1e-6, -1e-6):
            moved = {**weights, name: weight._replace(array=weight.array + step * direction)}
            losses.append(run(moved, x_B, y_B).loss)
        numeric = (losses[0] - losses[1]) / 2e-6
        assert np.sum(gradients[name] * direction) == pytest.approx(numeric, rel=1e-5, abs=1e-8), name
