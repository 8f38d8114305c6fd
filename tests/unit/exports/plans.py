"""Random plans, and plans of named models, for the tests of exports."""

from typing import Any

from hypothesis import strategies as st

from widthwise import Base, Plan, Target, Tensor, transfer
from widthwise.vocabulary import Optimizer, Parameterization

_VALUE = st.floats(1e-9, 10.0)
_WIDTH = st.sampled_from((64, 96, 256))


def language_model(
    base: int, target: int, *, blocks: int = 3, vocabulary: int = 1000, tied: bool = False
) -> list[Tensor]:
    """The tensors of a small language model as PyTorch names and shapes them."""

    def tensor(name: str, *sizes: Any, **words: Any) -> Tensor:
        shapes = [tuple(size[end] if isinstance(size, tuple) else size for size in sizes) for end in (0, 1)]
        return Tensor(name, *shapes, **words)

    d, f = (base, target), (4 * base, 4 * target)
    found = [tensor("embed.weight", vocabulary, d, role="embedding")]
    for block in range(blocks):
        prefix = f"layers.{block}"
        found += [
            tensor(f"{prefix}.attention.wq.weight", d, d),
            tensor(f"{prefix}.attention.wo.weight", d, d),
            tensor(f"{prefix}.norm.weight", d),
            tensor(f"{prefix}.up.weight", f, d),
            tensor(f"{prefix}.up.bias", f, decayed=False),
            tensor(f"{prefix}.down.weight", d, f),
        ]
    found.append(tensor("norm.weight", d, decayed=False))
    found.append(tensor("head.weight", vocabulary, d, role="readout", tied_to="embed.weight" if tied else None))
    return found


def plan_of(base: int = 64, target: int = 256, *, tied: bool = False, blocks: int = 3, **words: Any) -> Plan:
    """A plan of that model: muP and AdamW with every value of the base, unless `words` say otherwise."""
    values = {"learning_rate": 0.003, "epsilon": 1e-8, "weight_decay": 0.1, "init_std": 0.02}
    given = {name: words.pop(name) for name in tuple(words) if name in values}
    setting = {"parameterization": "mup", "optimizer": "adamw", **words}
    return transfer(
        base=Base(**{**values, **given}),
        target=Target(),
        layout="out_in",
        tensors=language_model(base, target, blocks=blocks, tied=tied),
        **setting,
    )


@st.composite
def plans(draw: st.DrawFn, optimizers: tuple[str, ...] = tuple(Optimizer)) -> Plan:
    """Plans in every setting, with and without each value of the base, tied or not."""
    rate = draw(_VALUE)
    by_role = {"embedding": rate, "hidden": rate / 2, "readout": 2 * rate, "vector": rate, "scalar": rate}
    return plan_of(
        draw(_WIDTH),
        draw(_WIDTH),
        tied=draw(st.booleans()),
        blocks=draw(st.integers(1, 12)),
        parameterization=draw(st.sampled_from(Parameterization)),
        optimizer=draw(st.sampled_from(optimizers)),
        learning_rate=draw(st.sampled_from((rate, by_role))),
        epsilon=draw(st.none() | _VALUE),
        weight_decay=draw(st.none() | _VALUE),
        init_std=draw(st.none() | _VALUE),
    )
