"""Labels for optax.partition: the groups' names, whatever the pytree."""

from typing import Any

import jax
import numpy as np
import optax
import pytest

import widthwise.optax
from tests.optax.plans import exported, parameters
from widthwise.errors import InvalidInputError
from widthwise.folding import folded
from widthwise.groups import groups


@pytest.mark.parametrize("fold", [False, True])
def test_a_partition_by_groups_is_the_planned_optimizer(fold: bool) -> None:
    plan = exported("adamw")
    made = {
        group.name: optax.adamw(group.learning_rate, eps=group.epsilon or 0.0, weight_decay=group.weight_decay or 0.0)
        for group in groups(folded(plan) if fold else plan)
    }
    assert len(made) > 2
    params, gradient = parameters(), parameters(1)
    found = []
    for optimizer in (
        optax.partition(made, widthwise.optax.labels(plan, fold=fold)),
        widthwise.optax.adamw(plan, fold=fold),
    ):
        found.append(jax.jit(optimizer.update)(gradient, optimizer.init(params), params)[0])
    for name in params:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-5, atol=1e-7)


def test_muon_for_hidden_matrices() -> None:
    """Groups carry their role in the name, and a plan of Muon has no epsilon for what Muon trains."""
    plan = exported("muon_keller", "standard", base={"learning_rate": {"hidden": 0.02, **dict.fromkeys(ROLES, 0.003)}})
    hidden = [group for group in groups(plan) if group.epsilon is None]
    assert {name for group in hidden for name in group.tensors} == {"up", "down"}
    of: dict[str, Any] = widthwise.optax.labels(plan)(parameters())
    assert {name for name, label in of.items() if label in {group.name for group in hidden}} == {"up", "down"}


ROLES = ("embedding", "readout", "vector")


def test_gaps_stay_and_counters_have_some_label() -> None:
    params = {**parameters(), "steps": np.zeros([], np.int32), "none": None}
    found = widthwise.optax.labels(exported())(params)
    assert found["none"] is None
    assert found["steps"] in found.values()
    assert found["steps"]


def test_other_parameters_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no tensor for 'other'; no leaf for the plan's 'embed', 'up', 'd"):
        widthwise.optax.labels(exported())({"other": np.zeros(3)})
