"""Models as JSON describes them: by a Hugging Face config.json, or by names and shapes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from widthwise.errors import InvalidInputError
from widthwise.fields import Fields
from widthwise.reading.configs import read_config
from widthwise.reading.model import ModelReading
from widthwise.reading.parameter import Parameter, ParameterUse
from widthwise.tensors.placement import MAX_AXIS
from widthwise.vocabulary import Role


class DescribedModels(NamedTuple):
    """The two models of a transfer, and the roles that settle what they leave open."""

    base_model: ModelReading
    target_model: ModelReading
    roles: Mapping[str, Role]

    @classmethod
    def from_dict(cls, value: Any, path: str = "model") -> "DescribedModels":
        """Read `{"base": model, "target": model, "roles": {pattern: role}}`, as `described` reads each model.

        Raises InvalidInputError that names the field.
        """
        given = Fields.of(value, path)
        for key in given.values:
            if key not in ("base", "target", "roles"):
                raise given.error(key, "is not known; there are base, target and roles")
        roles = given.object("roles") if given.has("roles") else Fields({}, f"{path}.roles")
        return cls(
            described(given.any("base"), f"{path}.base"),
            described(given.any("target"), f"{path}.target"),
            {pattern: roles.word(Role, pattern) for pattern in roles.values},
        )


def described(value: Any, path: str) -> ModelReading:
    """Return the model that a config.json expands to, or that `{"shapes": {name: [sizes]}}` lists; a reading as it is.

    Of a listed model only the shapes are known: roles and a layout place its tensors. Raises InvalidInputError, with
    `path` in front, for what is neither.
    """
    if isinstance(value, ModelReading):
        return value
    if not isinstance(value, Mapping) or not ("model_type" in value or "shapes" in value):
        raise InvalidInputError(
            f'{path} is not a model: give its config.json (with a model_type), or {{"shapes": {{name: [sizes]}}}}',
            field=path,
        )
    if "shapes" in value:
        shapes = Fields.of(value, path).object("shapes")
        parameters = (
            Parameter(name, shapes.integers(name, 1, MAX_AXIS), ParameterUse.UNKNOWN, None, (), ())
            for name in shapes.values
        )
        return ModelReading("names and shapes", tuple(parameters))
    try:
        return read_config(value)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}", field=path) from None
