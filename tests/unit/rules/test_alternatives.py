"""The published rules about one thing next to each other, and Power Lines' timescale."""

import json

import pytest

from widthwise import Base, InvalidInputError, Target, TransferRequest
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.transfers.plan import Plan
from widthwise.transfers.transfer import plan_of


def asked(*about: str, mode: str | None = None, parameters: int | None = 10**8, **words) -> TransferRequest:
    """Width ×4, batch ×2, tokens ×20, parameters ×10."""
    return TransferRequest(
        parameterization="mup",
        optimizer="adamw",
        base=Base(
            width=512, learning_rate=4e-3, weight_decay=0.1, batch_tokens=2**17, tokens=10**9, parameters=parameters
        ),
        target=Target(width=2048, batch_tokens=2**18, tokens=20 * 10**9, parameters=parameters and 10 * parameters),
        weight_decay_mode=mode,
        alternatives=about,
        **words,
    )


def rows(request: TransferRequest, about: str = "weight_decay") -> dict[str, dict]:
    return {row["rule"]: row for row in plan_of(request).alternatives[about]["rules"]}


@pytest.mark.parametrize("mode", ["decoupled", "independent"])
def test_every_rule_of_decay_stands_with_its_factor_on_what_a_step_takes_off(mode) -> None:
    found = rows(asked("weight_decay", mode=mode))
    assert list(found) == ["none", *BY_WORD["weight_decay"]]
    for word, hidden, embedding in (
        ("constant_product", 1.0, 1.0),
        ("root_width", 0.5, 1.0),
        ("compute_optimal", 0.25, 0.25),
        ("timescale", 0.1, 0.1),
        ("power_lines", 0.1 * 2**0.527, 0.1 * 2**0.527),
    ):
        for role, factor in (("hidden", hidden), ("embedding", embedding)):
            numbers = found[word]["roles"][role]
            assert numbers["decay_per_step_multiplier"] == pytest.approx(factor)
            assert numbers["decay_per_step"] == pytest.approx(factor * numbers["decay_per_step_before"])
            before = 0.1 if mode == "independent" else 0.1 * 4e-3
            assert numbers["decay_per_step_before"] == pytest.approx(before)
    apart = plan_of(asked("weight_decay", mode=mode)).alternatives["weight_decay"]["apart"]
    assert apart == pytest.approx({"hidden": 10.0, "embedding": 10.0})


def test_the_plan_stays_as_it_is() -> None:
    with_, without = plan_of(asked("weight_decay", "batch")), plan_of(asked())
    assert with_.layers == without.layers
    assert with_.provenance == without.provenance
    assert "alternatives" not in without.to_dict()
    assert Plan.from_dict(json.loads(json.dumps(with_.to_dict()))) == with_


def test_a_rule_in_force_is_marked_and_keeps_its_parameters() -> None:
    rules = {"weight_decay": "timescale", "tokens": {"exponent": 0.25}}
    found = rows(asked("weight_decay", "tokens", rules=rules))
    assert [word for word, row in found.items() if row["in_plan"]] == ["timescale"]
    horizon = rows(asked("tokens", rules=rules), "tokens")["horizon"]
    assert horizon["refused"] is None
    assert horizon["in_plan"]


def test_a_rule_that_lacks_something_says_what() -> None:
    found = rows(asked("weight_decay", "batch", parameters=None))
    assert "base.parameters" in found["power_lines"]["refused"]
    assert found["power_lines"]["roles"] == {}
    assert all(
        "coupled" in row["refused"]
        for word, row in rows(asked("weight_decay", mode="coupled")).items()
        if word != "none"
    )


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="alternatives"):
        plan_of(asked("decay"))


def test_a_request_with_alternatives_is_read_back() -> None:
    request = asked("weight_decay")
    assert plan_of(TransferRequest.from_dict(json.loads(json.dumps(request.to_dict())))) == plan_of(request)
    with pytest.raises(InvalidInputError, match="list of words"):
        TransferRequest.from_dict(request.to_dict() | {"alternatives": "weight_decay"})
