"""The start of the transformer with its options: activations, logits and gradients scale as the theory prescribes.

Slopes between two widths are of log RMS over log width. A tied model differs. Its stream carries the embedding of the
byte that it has just read, and the readout is that same table: the logit of that byte sums n terms of one sign and is
√n larger than the others. In muP's class the readout is so small (a + b = 1) that this logit stays as it is; in SP and
NTK (a + b = ½) it grows as √n, which the theory's start (random alignment of readout and stream) does not have.
"""

import math
from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from widthwise import Base, Target, transfer
from widthwise.calibration.spec import CalibrationSpec, ProxySpec
from widthwise.vocabulary import Architecture, Parameterization, Role
from workers.engine.prescription import prescribe
from workers.engine.proxies import build_proxy
from workers.engine.proxies.contract import Tape

WIDTHS = (32, 256)  # two, since most of the time goes into compiling
SEEDS = 4
TOLERANCE = 0.08  # of a slope over 8 × in width: a norm of 16 windows of random bytes, averaged over 4 seeds
SPEC = ProxySpec(Architecture.TRANSFORMER, depth=1, head_dim=16, sequence_length=16, batch_size=16, dataset="synthetic")
OPTIONS = {"swiglu, qk_norm": {"feed_forward": "swiglu", "qk_norm": True}, "tied": {"tied": True}}
FEATURE_SCALED = (Parameterization.MUP, Parameterization.MEAN_FIELD)
OWN = "logit of the last byte read"


def sweep(kind: Parameterization, option: str) -> CalibrationSpec:
    return CalibrationSpec.from_dict(
        {
            "parameterization": kind, "optimizer": "adam", "alignment": "full", "form": "table_9", "epsilon": 1e-12,
            "widths": WIDTHS, "steps": 1, "proxy": {**SPEC.to_dict(), **OPTIONS[option]},
        }
    )  # fmt: skip


@cache
def starts(option: str) -> dict[Parameterization, list[dict[str, float]]]:
    """By parameterization and width, the mean log RMS of everything; one compilation a width serves them all."""
    random = np.random.default_rng(0)
    window_BxT = random.integers(0, 256, (SPEC.batch_size, SPEC.sequence_length + 1)).astype(np.int32)
    x_BxT, y_BxT = window_BxT[:, :-1], window_BxT[:, 1:]
    sweeps = {kind: sweep(kind, option) for kind in Parameterization}
    proxy = build_proxy(sweeps[Parameterization.STANDARD].proxy)

    def loss(params: dict[str, jax.Array], multipliers: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
        tape: Tape = {}
        logits_BxTxV = proxy.apply(params, multipliers, x_BxT, tape)
        own_BxTx1 = jnp.take_along_axis(logits_BxTxV, x_BxT[..., None], axis=2)
        outputs = {f"output {name}": use.output for name, use in tape.items()}
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits_BxTxV, y_BxT)), outputs | {
            OWN: own_BxTx1
        }

    compiled = jax.jit(jax.value_and_grad(loss, has_aux=True))

    def sizes(params: dict[str, jax.Array], multipliers: dict[str, jax.Array]) -> dict[str, float]:
        (_, outputs), gradients = jax.device_get(compiled(params, multipliers))
        seen = outputs | {f"gradient {name}": gradient for name, gradient in gradients.items()}
        return {name: math.log(np.sqrt(np.mean(np.square(value)))) for name, value in seen.items()}

    logs: dict[Parameterization, list[dict[str, float]]] = {kind: [] for kind in Parameterization}
    for width in WIDTHS:
        shapes = {name: tensor.shape for name, tensor in proxy.tensor_shapes(width).items()}
        draws = [
            {name: np.random.default_rng([seed, width, k]).standard_normal(shape, dtype=np.float32)
             for k, (name, shape) in enumerate(shapes.items())}
            for seed in range(SEEDS)
        ]  # fmt: skip
        for kind, spec in sweeps.items():
            prescription = prescribe(spec, proxy, width)
            multipliers = {name: np.float32(value) for name, value in prescription.forward_multipliers.items()}
            found = [
                sizes({name: np.float32(prescription.init_stds[name]) * z for name, z in normals.items()}, multipliers)
                for normals in draws
            ]
            logs[kind].append({name: float(np.mean([seed[name] for seed in found])) for name in found[0]})
    return logs


def slope(option: str, kind: Parameterization, name: str) -> float:
    return float(np.polyfit(np.log(WIDTHS), [entry[name] for entry in starts(option)[kind]], 1)[0])


@pytest.mark.parametrize("kind", Parameterization)
@pytest.mark.parametrize("option", OPTIONS)
def test_activations_keep_their_size_and_logits_start_as_small_as_they_should(
    option: str, kind: Parameterization
) -> None:
    for name in starts(option)[kind][0]:
        if name.startswith("output") and name != "output readout":
            assert slope(option, kind, name) == pytest.approx(0.0, abs=TOLERANCE), name
    logits = -0.5 if kind in FEATURE_SCALED else 0.0
    if option == "tied":
        # one logit of 256 is √n times the others, and they are as they should be
        assert slope(option, kind, OWN) == pytest.approx(logits + 0.5, abs=TOLERANCE)
        assert logits < slope(option, kind, "output readout") < logits + 0.2
    else:
        assert slope(option, kind, OWN) == pytest.approx(logits, abs=TOLERANCE)
        assert slope(option, kind, "output readout") == pytest.approx(logits, abs=TOLERANCE)


@pytest.mark.parametrize("kind", Parameterization)
@pytest.mark.parametrize("option", OPTIONS)
def test_gradients_scale_by_role_as_the_plan_says(option: str, kind: Parameterization) -> None:
    plan = transfer(parameterization=kind, optimizer="adam", base=Base(width=1), target=Target(width=2))
    proxy = build_proxy(sweep(kind, option).proxy)
    tied_start = option == "tied" and kind not in FEATURE_SCALED
    for name, tensor in proxy.tensor_shapes(WIDTHS[0]).items():
        expected = -plan.layer(tensor.role).gradient_rms.exponent
        found = slope(option, kind, f"gradient {name}")
        if tied_start:  # the loss grows with the logit of the last byte read, and so does what flows back
            assert found > expected + TOLERANCE, name
        else:
            assert found == pytest.approx(expected, abs=TOLERANCE), name


@pytest.mark.parametrize("kind", Parameterization)
def test_every_parameterization_starts_as_one_function_at_the_base_width(kind: Parameterization) -> None:
    for option in OPTIONS:
        assert starts(option)[kind][0] == starts(option)[Parameterization.STANDARD][0]


def test_both_members_of_a_class_have_one_forward_pass_at_every_width() -> None:
    for option in OPTIONS:
        seen = starts(option)
        for one, other in pairwise(sorted(FEATURE_SCALED)):
            for a, b in zip(seen[one], seen[other], strict=True):
                assert a["output readout"] == pytest.approx(b["output readout"], abs=1e-4)


@pytest.mark.parametrize("kind", Parameterization)
def test_a_tied_readout_has_one_multiplier_and_no_tensor(kind: Parameterization) -> None:
    spec = sweep(kind, "tied")
    proxy = build_proxy(spec.proxy)
    for width in WIDTHS:
        prescription = prescribe(spec, proxy, width)
        tensors = proxy.tensor_shapes(width).keys()
        assert prescription.learning_rates.keys() == prescription.init_stds.keys() == tensors
        assert prescription.forward_multipliers.keys() == tensors | {"readout"}
        ratio = width / WIDTHS[0]
        # the smaller learning rate of the two uses (Adam, full alignment); only muP's and MFP's agree on one
        c = 0.0 if kind is Parameterization.MEAN_FIELD else 0.5
        assert prescription.learning_rates["embedding"] == pytest.approx(ratio**-c)
        # base 1/√n; then the readout's own a + b, less the b that the table has
        b_table, total = (0.5 if kind is Parameterization.MUP else 0.0), (1.0 if kind in FEATURE_SCALED else 0.5)
        assert prescription.forward_multipliers["readout"] == pytest.approx(
            ratio ** -(total - b_table) / math.sqrt(WIDTHS[0])
        )
    assert Role.READOUT not in {tensor.role for tensor in proxy.tensor_shapes(WIDTHS[0]).values()}
