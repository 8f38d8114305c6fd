"""Whether the rate of the hidden matrices agrees with the published laws of the optimum, where the two may be compared.

A published law names one rate for every tensor of a model in the standard parameterization, by a step of Adam's kind. A
plan has in common with it how far one step moves an entry of a hidden matrix. So only that rate is compared, and only
where nothing else multiplies the matrix.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from widthwise.caution import Caution
from widthwise.laws import PublishedRate, published_at, published_cautions
from widthwise.rules.in_force import Scheme
from widthwise.transfers.plan import LayerPlan, TensorPlan
from widthwise.transfers.request import TransferRequest
from widthwise.vocabulary import Parameterization, Role

#: Those in which hidden matrices carry a multiplier, so that their rate is not what a step moves a weight by.
_MULTIPLIED = {Parameterization.NTK, Parameterization.MEAN_FIELD}


class Compared(NamedTuple):
    """What the published laws say of a plan."""

    cautions: tuple[Caution, ...]
    provenance: Mapping[str, Any]  #: every law with its rate, or why it says nothing; empty if no size asks for them


def compared_with_laws(
    request: TransferRequest, scheme: Scheme, layers: Sequence[LayerPlan], tensors: Sequence[TensorPlan]
) -> Compared:
    """Compare the target's hidden rate with every law that holds there; nothing if its parameters are not known."""
    target = request.target
    if target.parameters is None:
        return Compared((), {})
    place = {
        name: value
        for name in ("parameters", "tokens", "batch_tokens", "width", "experts", "rank")
        if (value := getattr(target, name)) is not None
    }
    laws = published_at(place, optimizer=scheme.optimizer.value)
    rates = _hidden_rates(layers, tensors)
    refused = _no_meaning(request, scheme, layers, tensors) if rates else "the plan has no hidden matrix"
    found: tuple[Caution, ...] = ()
    if refused is None:
        low, high = min(rates), max(rates)
        found = published_cautions(math.sqrt(low) * math.sqrt(high), (low, high), laws)
    return Compared(
        found,
        {
            "published_laws": {
                "hidden_learning_rate": [min(rates), max(rates)] if rates else None,
                "compared": refused is None,
                "reason": refused or "the rate of hidden matrices, which is what one step moves an entry by",
                "laws": [_listed(law) for law in laws if not law.missing],
            }
        },
    )


def _listed(law: PublishedRate) -> dict[str, Any]:
    """A law's values as JSON reads them back: with lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in law.to_dict().items()}


def _hidden_rates(layers: Iterable[LayerPlan], tensors: Iterable[TensorPlan]) -> list[float]:
    """The rates of the hidden matrices, each once; the role's if no tensors are listed."""
    found = {each.learning_rate.value for each in (tensors or layers) if each.role is Role.HIDDEN}
    return sorted(rate for rate in found if rate)  # 0 is a rate below the smallest float


def _no_meaning(
    request: TransferRequest, scheme: Scheme, layers: Sequence[LayerPlan], tensors: Sequence[TensorPlan]
) -> str | None:
    """Why no law may be compared with the plan; None if they may."""
    if scheme.parameterization in _MULTIPLIED:
        return (
            f"{scheme.parameterization.value!r} multiplies hidden matrices, so their rate is another thing than the "
            "laws', which are of the standard parameterization"
        )
    if request.code_multipliers:
        return "the model's code multiplies by a size, so its rates are other things than the laws'"
    plans: Iterable[LayerPlan | TensorPlan] = tensors or layers
    if any(each.role is Role.HIDDEN and each.forward_multiplier.multiplier != 1 for each in plans):
        return "hidden matrices carry a multiplier, so their rate is another thing than the laws'"
    return None
