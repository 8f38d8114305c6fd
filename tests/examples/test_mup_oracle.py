"""Against the `mup` package 1.0.0 itself: its learning rate and weight decay of every tensor, from its own code.

mup's muP is our `mup` in the form of Table 8.  mup reads fan-in off the last axis that grows and calls a matrix with
one growing axis vector-like; where shapes break those conventions it is wrong, and those cases are tested as such.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.bodies import tensors as example
from widthwise import Base, Target, Tensor, transfer

OPTIMIZERS = ("adamw", "sgd")
Answer = dict[str, tuple[float, ...]]  #: learning rate and weight decay, by tensor


def mup(cases: list[tuple[str, list[Tensor]]], learning_rate: float, weight_decay: float) -> list[Answer]:
    """Ask mup for all cases at once: (optimizer, tensors) → {name: (learning rate, weight decay)}."""
    asked = [
        {
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "tensors": [[t.name, list(t.base_shape), list(t.target_shape)] for t in listed],
        }
        for optimizer, listed in cases
    ]
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("mup_groups.py"))],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, f"mup did not run; `pip install --no-deps mup==1.0.0` gives it.\n{ran.stderr}"
    return [{name: tuple(pair) for name, pair in answer.items()} for answer in json.loads(ran.stdout)]


def widthwise(
    optimizer: str, listed: list[Tensor], learning_rate: float, weight_decay: float, layout: str = "out_in"
) -> Answer:
    plan = transfer(
        parameterization="mup",
        optimizer=optimizer,
        form="table_8",
        layout=layout,
        base=Base(learning_rate=learning_rate, weight_decay=weight_decay),
        target=Target(),
        tensors=listed,
    )
    return {t.name: (t.learning_rate.value or 0.0, t.weight_decay.value or 0.0) for t in plan.tensors}


def assert_same(ours: Answer, theirs: Answer) -> None:
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        assert ours[name] == pytest.approx(expected, rel=1e-12), name


def transformer(
    base: tuple[int, int], target: tuple[int, int], *, vocabulary: int = 101, positions: int = 32, layers: int = 1
) -> list[Tensor]:
    """A transformer with biases in PyTorch's order, at (width, feed-forward) of base and target."""
    (d, f), (e, g) = base, target
    listed = [
        Tensor("tokens", (vocabulary, d), (vocabulary, e), role="embedding"),
        Tensor("positions", (positions, d), (positions, e), role="embedding"),
        Tensor("head.weight", (vocabulary, d), (vocabulary, e), role="readout"),
        Tensor("head.bias", (vocabulary,), (vocabulary,)),
    ]
    # fan-out and fan-in, each at base and target
    matrices = {
        "qkv": ((3 * d, 3 * e), (d, e)),
        "o": ((d, e), (d, e)),
        "up": ((f, g), (d, e)),
        "down": ((d, e), (f, g)),
    }
    for layer in range(layers):
        for name, (out, into) in matrices.items():
            listed.append(Tensor(f"{layer}.{name}.weight", (out[0], into[0]), (out[1], into[1])))
            listed.append(Tensor(f"{layer}.{name}.bias", out[:1], out[1:]))
        listed.append(Tensor(f"{layer}.norm.weight", (d,), (e,)))
    return listed


def test_the_published_model() -> None:
    """The numbers that mup 1.0.0 gives a small transformer, base d = 64, ff = 256, target d = 256, ff = 2048."""
    listed = transformer((64, 256), (256, 2048))
    adamw, sgd = mup([("adamw", listed), ("sgd", listed)], 1.0, 0.1)
    for name in ("qkv", "o", "up"):
        assert adamw[f"0.{name}.weight"] == (0.25, 0.4)
    assert adamw["0.down.weight"] == (0.125, 0.8)
    others = [pair for name, pair in adamw.items() if not (name.endswith("weight") and name[0] == "0")]
    assert set(others) == {(1.0, 0.1)}
    assert [sgd[f"0.{name}.weight"] for name in ("qkv", "o", "up", "down")] == [
        (1.0, 0.1),
        (1.0, 0.1),
        (2.0, 0.05),
        (0.5, 0.2),
    ]
    assert {sgd[name] for name in ("tokens", "positions", "0.norm.weight", "0.o.bias")} == {(4.0, 0.025)}
    assert sgd["0.up.bias"] == (8.0, 0.0125)
    assert_same(widthwise("adamw", listed, 1.0, 0.1), adamw)
    assert_same(widthwise("sgd", listed, 1.0, 0.1), sgd)


def test_random_pairs_of_models() -> None:
    """Any two widths and feed-forwards, growing or shrinking, each fan by its own ratio."""
    chance = random.Random(20240708)
    cases: list[tuple[str, list[Tensor]]] = []
    for _ in range(100):
        d, f = chance.randint(8, 4096), chance.randint(8, 16384)
        e, g = (chance.choice([s // 3, 2 * s, 5 * s, 7 * s + 3]) for s in (d, f))
        listed = transformer((d, f), (e, g), vocabulary=chance.randint(2, 50257), layers=chance.randint(1, 2))
        chance.shuffle(listed)
        cases += [(optimizer, listed) for optimizer in OPTIMIZERS]
    learning_rate, weight_decay = 0.0037, 0.013
    for (optimizer, listed), theirs in zip(cases, mup(cases, learning_rate, weight_decay), strict=True):
        assert_same(widthwise(optimizer, listed, learning_rate, weight_decay), theirs)


@pytest.mark.parametrize(
    ("name", "layout", "differ"),
    [
        # one ratio for every width hides mup's reading of Conv1D's axes
        ("gpt2_small_to_xl", "in_out", {"adamw": set(), "sgd": set()}),
        ("llama_pair", "out_in", {"adamw": set(), "sgd": set()}),
        ("vit_pair", "out_in", {"adamw": set(), "sgd": set()}),
        # keys, values and routers of constant width are vector-like to mup
        (
            "llama_constant_kv_pair",
            "out_in",
            {"adamw": {"k_proj", "v_proj"}, "sgd": {"k_proj", "v_proj"}},
        ),
        # and the fan-in of a 3-D tensor is axis 1 to its SGD
        (
            "moe_pair",
            "out_in",
            {
                "adamw": {"k_proj", "v_proj", "gate"},
                "sgd": {"k_proj", "v_proj", "gate", "gate_up_proj", "down_proj"},
            },
        ),
    ],
)
def test_the_examples_agree_but_where_mups_conventions_break(
    name: str, layout: str, differ: dict[str, set[str]]
) -> None:
    listed = example(name)
    for optimizer, theirs in zip(OPTIMIZERS, mup([(o, listed) for o in OPTIMIZERS], 1.0, 0.1), strict=True):
        ours = widthwise(optimizer, listed, 1.0, 0.1, layout)
        others = [n for n in ours if ours[n] != pytest.approx(theirs[n], rel=1e-12)]
        assert {n.removesuffix(".weight").rsplit(".", 1)[-1] for n in others} == differ[optimizer]


CONV1D = Tensor("conv1d", (64, 128), (256, 1024), (0,), (1,))
EXPERTS = Tensor("experts", (8, 64, 128), (8, 256, 1024), (1,), (2,))


def test_in_out_weights_and_fused_experts_where_mup_divides_by_8_instead_of_4() -> None:
    theirs_adamw, theirs_sgd = mup([(optimizer, [CONV1D, EXPERTS]) for optimizer in OPTIMIZERS], 1.0, 0.1)
    ours_adamw, ours_sgd = (widthwise(optimizer, [CONV1D, EXPERTS], 1.0, 0.1) for optimizer in OPTIMIZERS)
    for name in ("conv1d", "experts"):
        assert theirs_adamw[name] == (1 / 8, 0.8)
        assert ours_adamw[name] == pytest.approx((1 / 4, 0.4), rel=1e-12)
        assert ours_sgd[name] == pytest.approx((8 / 4, 0.1 * 4 / 8), rel=1e-12)
    assert (theirs_sgd["conv1d"][0], theirs_sgd["experts"][0]) == (4 / 8, 1 / 4)


def test_transposed_into_mups_own_order_the_two_agree_again() -> None:
    """The same tensors, (out, in) and one expert each: mup then says what we say of every layout."""
    linear = [
        Tensor("conv1d", (128, 64), (1024, 256), (1,), (0,)),
        Tensor("experts", (128, 64), (1024, 256), (1,), (0,)),
    ]
    for optimizer, theirs in zip(OPTIMIZERS, mup([(o, linear) for o in OPTIMIZERS], 1.0, 0.1), strict=True):
        assert_same(widthwise(optimizer, [CONV1D, EXPERTS], 1.0, 0.1), theirs)
