"""Groups of tensors that train with the same learning rate, epsilon and weight decay."""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from widthwise.errors import InvalidInputError
from widthwise.transfers.plan import Plan, TensorPlan

MAX_GROUPS = 30  # measured on 1,000 tensors: up to here a step costs what one group costs (docs/results)
#: How far a merged value may lie from the plan's (chosen): 5 % is 0.07 octaves of a learning rate. The loss around the
#: optimum is a parabola in its logarithm, so this costs 1/200 of what a learning rate off by a factor of 2 costs.
MAX_DEVIATION = 0.05


@dataclass(frozen=True, slots=True)
class Group:
    """Tensors with the same values, as one group of an optimizer."""

    name: str  #: unique; made of the roles of its tensors
    tensors: tuple[str, ...]  #: in the plan's order; a tied weight under its owner's name
    learning_rate: float  #: η, absolute
    epsilon: float | None  #: ε, absolute; None: the optimizer has none, or the base gave none
    weight_decay: float | None  #: λ as the plan's decay mode applies it; None: the base gave none
    scale: float  #: η over the base's learning rate, which is the same for all groups: see `base_learning_rate`
    deviation: float = 0.0  #: the largest by which a value is off from its tensor's own: 0.01 is 1 %


class _Values(NamedTuple):
    """What an optimizer's group holds."""

    learning_rate: float
    epsilon: float | None
    weight_decay: float | None


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Neighbouring values, by the smallest and the largest of each."""

    low: tuple[float | None, ...]
    high: tuple[float | None, ...]

    def joined(self, other: "_Cluster") -> "_Cluster":
        return _Cluster(
            tuple(_least(pair) for pair in zip(self.low, other.low, strict=True)),
            tuple(_most(pair) for pair in zip(self.high, other.high, strict=True)),
        )

    def middle(self) -> _Values:
        """The geometric mean of both ends, which is off by the same factor from either; equal ends stay exact."""
        return _Values(*map(_middle, self.low, self.high))  # type: ignore[arg-type]  # η is never None

    def deviation(self) -> float:
        return max(_spread(low, high) for low, high in zip(self.low, self.high, strict=True))


def groups(plan: Plan, max_groups: int = MAX_GROUPS) -> tuple[Group, ...]:
    """Return the plan's tensors in groups of equal values, the base's own group first.

    A tied duplicate (`tied_to`) stands in no group: an optimizer has its weight once. The first group has the base's
    own learning rate, or the one nearest to it: trainers that take ratios take them to their first group. The others
    follow in the plan's order. If the plan has more than `max_groups` different values, the nearest are merged, and
    `deviation` tells how far each merged group is off.

    Raises InvalidInputError for a plan without tensors or without learning rates, and if `max_groups` groups would
    move a value by more than 5 %.
    """
    if max_groups < 1:
        raise InvalidInputError(f"max_groups is {max_groups}; it must be at least 1", field="max_groups")
    members: dict[_Values, list[TensorPlan]] = {}
    for tensor in trained(plan):
        members.setdefault(_values(tensor), []).append(tensor)
    base = base_learning_rate(plan)
    position = {tensor.name: index for index, tensor in enumerate(plan.tensors)}
    merged = []
    for values, deviation, keys in _merged(list(members), max_groups):
        tensors = sorted((each for key in keys for each in members[key]), key=lambda each: position[each.name])
        merged.append((values, deviation, tensors))
    _refuse_far(merged, len(members), max_groups)
    merged.sort(key=lambda each: position[each[2][0].name])
    own = min(merged, key=lambda each: _distance_from_base(each[0], each[2], base))
    ordered = [own, *(each for each in merged if each is not own)]
    names = _names([[tensor.role.value for tensor in tensors] for _, _, tensors in ordered])
    return tuple(
        Group(name, tuple(each.name for each in tensors), *values, values.learning_rate / base, deviation)
        for name, (values, deviation, tensors) in zip(names, ordered, strict=True)
    )


def trained(plan: Plan) -> tuple[TensorPlan, ...]:
    """Return the tensors that an optimizer holds: all but tied duplicates. Raises InvalidInputError if none are listed.

    A learning rate must be known for each.
    """
    if not plan.tensors:
        raise InvalidInputError(
            "the plan lists no tensors, only roles; make it from two models, or list the tensors", field="tensors"
        )
    for tensor in plan.tensors:
        if tensor.learning_rate.value is None:
            raise InvalidInputError(
                f"the plan has no learning rate for {tensor.name!r}; give base.learning_rate",
                field="base.learning_rate",
            )
    return tuple(tensor for tensor in plan.tensors if tensor.tied_to is None)


def base_learning_rate(plan: Plan) -> float:
    """Return the base's learning rate, to which `Group.scale` is relative.

    Of a base with a learning rate for each role: that of the first tensor whose rate the plan leaves as it is, else of
    the first tensor.
    """
    tensors = trained(plan)
    tensor = next((each for each in tensors if each.learning_rate.multiplier == 1), tensors[0])
    value, multiplier, _ = tensor.learning_rate
    assert value is not None  # noqa: S101 - `trained` looks
    return value / multiplier


def _values(tensor: TensorPlan) -> _Values:
    value = tensor.learning_rate.value
    assert value is not None  # noqa: S101 - `trained` looks
    epsilon = tensor.epsilon
    return _Values(value, None if epsilon is None else epsilon.value, tensor.weight_decay.value)


def _merged(distinct: Sequence[_Values], max_groups: int) -> list[tuple[_Values, float, list[_Values]]]:
    """Merge the pair that stays closest together, in log space, until few enough are left."""
    clusters = {index: _Cluster(values, values) for index, values in enumerate(distinct)}
    members = {index: [values] for index, values in enumerate(distinct)}
    pairs: list[tuple[float, int, int]] = []
    if len(clusters) > max_groups:
        pairs = [
            (clusters[one].joined(clusters[other]).deviation(), one, other) for one, other in combinations(clusters, 2)
        ]
        heapq.heapify(pairs)
    last = len(distinct)
    while len(clusters) > max_groups:
        _, one, other = heapq.heappop(pairs)
        if one not in clusters or other not in clusters:
            continue
        joined = clusters.pop(one).joined(clusters.pop(other))
        members[last] = members.pop(one) + members.pop(other)
        for index, cluster in clusters.items():
            heapq.heappush(pairs, (cluster.joined(joined).deviation(), index, last))
        clusters[last] = joined
        last += 1
    return [(cluster.middle(), cluster.deviation(), members[index]) for index, cluster in clusters.items()]


def _refuse_far(merged: Sequence[tuple[_Values, float, Sequence[TensorPlan]]], distinct: int, max_groups: int) -> None:
    _, deviation, tensors = max(merged, key=lambda each: each[1])
    if deviation > MAX_DEVIATION:
        raise InvalidInputError(
            f"the plan has {distinct} different sets of values, and {max_groups} groups would move those of "
            f"{tensors[0].name!r} and {len(tensors) - 1} more by {_percent(deviation)}, above {MAX_DEVIATION:.0%}; "
            "allow more groups with max_groups",
            field="max_groups",
        )


def _percent(deviation: float) -> str:
    return "from zero to another value" if deviation == math.inf else f"up to {deviation:.1%}"


def _distance_from_base(values: _Values, tensors: Sequence[TensorPlan], base: float) -> tuple[float, bool, float]:
    """How far a group is from the base's own: in its learning rate, then in decay, then in epsilon."""
    first = tensors[0]
    epsilon = 1.0 if first.epsilon is None else first.epsilon.multiplier
    away = abs(math.log(values.learning_rate / base))
    undecayed = values.weight_decay == 0 or first.weight_decay.multiplier != 1
    return round(away, 12), undecayed, abs(math.log(epsilon))


def _names(roles: Iterable[Sequence[str]]) -> list[str]:
    """The roles of each group, with a number where several groups have the same.

    >>> _names([["embedding", "readout", "embedding"], ["hidden"], ["hidden"]])
    ['embedding+readout', 'hidden', 'hidden-2']
    """
    found: list[str] = []
    seen: dict[str, int] = {}
    for each in roles:
        name = "+".join(dict.fromkeys(each))
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return found


def _least(pair: tuple[float | None, float | None]) -> float | None:
    one, other = pair
    return one if other is None or one is None else min(one, other)


def _most(pair: tuple[float | None, float | None]) -> float | None:
    one, other = pair
    return one if other is None or one is None else max(one, other)


def _middle(low: float | None, high: float | None) -> float | None:
    if low is None or high is None or low == high:
        return low
    return math.sqrt(low) * math.sqrt(high)


def _spread(low: float | None, high: float | None) -> float:
    """By how much the middle is off from either end; infinite between zero and another value."""
    if low is None or high is None or low == high:
        return 0.0
    return math.inf if low == 0 else math.sqrt(high / low) - 1
