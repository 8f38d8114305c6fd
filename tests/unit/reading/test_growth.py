"""What a matrix at the model's edge is if the features that it reads or makes grow with the model."""

from dataclasses import replace

import pytest

from tests.unit.reading.test_pairing import matrix, table
from widthwise.errors import UnplacedTensorsError
from widthwise.reading.model import ModelReading
from widthwise.reading.pairing import pair
from widthwise.vocabulary import Role


def model(width: int, features: int, outputs: int, entries: int = 100) -> ModelReading:
    return ModelReading(
        "test",
        (
            table("embed", entries, width),
            matrix("patch", width, features, Role.EMBEDDING),
            matrix("head", outputs, width, Role.READOUT),
        ),
        width=width,
    )


def roles(base: ModelReading, target: ModelReading, **declared: str) -> dict[str, Role | None]:
    return {each.target.name: each.target.role for each in pair(base, target, declared)}


def test_constant_features_and_classes_leave_the_roles_as_they_are() -> None:
    found = roles(model(64, 48, 10), model(256, 48, 10))
    assert (found["patch"], found["head"]) == (Role.EMBEDDING, Role.READOUT)


def test_features_of_the_models_own_width_make_hidden_matrices() -> None:
    found = pair(model(64, 64, 64), model(256, 256, 256))
    assert [each.target.role for each in found] == [Role.EMBEDDING, Role.HIDDEN, Role.HIDDEN]
    assert "its fan-in changes from 64 to 256, as the model's width does" in found[1].target.evidence[-1]


def test_a_vocabulary_that_grows_stays_one() -> None:
    assert roles(model(64, 48, 100), model(256, 48, 150, entries=150))["head"] is Role.READOUT


def test_other_growth_is_asked_for_and_a_declared_role_settles_it() -> None:
    base, target = model(64, 48, 10), model(256, 96, 20)
    with pytest.raises(UnplacedTensorsError) as caught:
        pair(base, target)
    assert [name for name, _ in caught.value.problems] == ["patch", "head"]
    assert "from 48 to 96: embedding if it reads one-hot rows, hidden if it reads features" in str(caught.value)
    found = roles(base, target, patch="embedding", head="readout")
    assert (found["patch"], found["head"]) == (Role.EMBEDDING, Role.READOUT)


def test_a_model_without_a_width_of_its_own_is_asked_about() -> None:
    base, target = (replace(each, width=None) for each in (model(64, 64, 10), model(256, 256, 10)))
    with pytest.raises(UnplacedTensorsError, match="patch"):
        pair(base, target)
