"""An extension: the specification of a calibration with more widths or seeds, a finer mesh, or more to be asked."""

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from service.calibrations.specification import Extension, SpecificationBody
from service.errors import RefusedInputError
from service.http.problems import faults
from widthwise.calibration.spec import CalibrationSpec

_SPEC = TypeAdapter(SpecificationBody)


def extended(spec: CalibrationSpec, more: Extension) -> SpecificationBody:
    """Return the specification of an extension; raises RefusedInputError (422), which says what to change."""
    base, known = spec.base_width, set(spec.widths)
    given = more.model_dump(exclude_none=True, include=set(Extension.model_fields))
    if not given:
        raise _refused(
            "", "adds nothing; give widths, seeds or mesh, or of an information search precision or budget", None
        )
    for index, width in enumerate(more.widths or ()):
        if width in known:
            raise _refused(f"/widths/{index}", f"width {width} is already included; give other widths", width)
        if width < base:
            raise _refused(
                f"/widths/{index}",
                f"width {width} is below {base}, the base width of every multiplier; submit a new calibration instead",
                width,
            )
        known.add(width)
    seeds, mesh = spec.seeds, spec.mesh
    if more.seeds is not None and more.seeds < seeds:
        raise _refused("/seeds", f"{more.seeds} seeds are fewer than the {seeds} that it has", more.seeds)
    if more.mesh is not None and more.mesh >= mesh:
        raise _refused("/mesh", f"a mesh of {more.mesh:g} is not finer than {mesh:g}", more.mesh)
    asked = _asked(spec, more)
    if set(given) == {"seeds"} and more.seeds == seeds:
        raise _refused("/seeds", f"it has {seeds} seeds already; give more, or add widths or a finer mesh", more.seeds)
    merged = {
        **{key: value for key, value in spec.to_dict().items() if value != []},  # an empty list meant the default
        "widths": sorted(known),
        "seeds": seeds if more.seeds is None else more.seeds,
        "mesh": mesh if more.mesh is None else more.mesh,
        **asked,
    }
    try:
        return _SPEC.validate_json(json.dumps(merged))
    except ValidationError as error:
        listed = faults(error.errors(include_url=False), merged)
        first = listed[0]
        raise RefusedInputError(
            f"The extended specification is not valid: {first.get('pointer', '#')}: {first['message']}.", errors=listed
        ) from None


def _asked(spec: CalibrationSpec, more: Extension) -> dict[str, float]:
    """Return what an information search is asked for beyond before."""
    asked = {}
    if more.precision is not None:
        if spec.precision is not None and more.precision >= spec.precision:
            raise _refused(
                "/precision", f"{more.precision:g} octaves are no more precise than {spec.precision:g}", more.precision
            )
        asked["precision"] = more.precision
    if more.budget is not None:
        if spec.budget is not None and more.budget <= spec.budget:
            raise _refused(
                "/budget", f"{more.budget:g} operations are no more than the {spec.budget:g} that it has", more.budget
            )
        asked["budget"] = more.budget
    return asked


def _refused(pointer: str, message: str, value: Any) -> RefusedInputError:
    fault = {"pointer": f"#{pointer}", "message": message, "value": value}
    return RefusedInputError(f"#{pointer}: {message}.", errors=[fault])
