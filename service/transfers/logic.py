"""The exponents that a calibration measured, for a transfer in the same setting."""

from dataclasses import replace

from service.errors import ConflictError, NoSuchResourceError, RefusedInputError
from service.store import LIMIT_MAXIMUM, CalibrationState, ExponentFilter, ExponentRow, Store, StoredCalibration
from service.store import errors as store_errors
from service.transfers import schemas
from widthwise.rules.exponents import Exponents


def calibrated_exponents(request: schemas.TransferBody, store: Store) -> Exponents:
    """Return the exponents that the named calibration measured; the one database access of a transfer.

    Raises NotFoundError (404), ConflictError (409: not finished, or nothing measured), InvalidInputError (422: it
    was measured in another setting).
    """
    assert isinstance(request.exponents, schemas.CalibrationExponents)  # noqa: S101  the route asked
    identifier = request.exponents.id
    try:
        calibration = store.calibrations.get(identifier)
    except store_errors.NotFoundError:
        raise NoSuchResourceError(
            f"exponents.id: there is no calibration {identifier!r}; GET /v1/calibrations lists them.",
            errors=[{"pointer": "#/exponents/id", "message": "names no calibration", "value": identifier}],
        ) from None
    if calibration.state is not CalibrationState.SUCCEEDED:
        raise ConflictError(
            f"Calibration {identifier!r} is {calibration.state.value}; only a succeeded one has exponents to use."
        )
    _require_same_setting(request, calibration)
    rows = store.exponents.page(ExponentFilter(calibration_id=identifier), limit=LIMIT_MAXIMUM).items
    if not rows:
        raise ConflictError(f"Calibration {identifier!r} measured no exponent: its trials did not bracket an optimum.")
    widths = sorted({width for row in rows for width in row.widths})
    return Exponents(
        learning_rate={row.role: row.value for row in rows if row.quantity == "learning_rate"},
        epsilon={row.role: row.value for row in rows if row.quantity == "epsilon"},
        form=calibration.spec.form,
        source="calibration",
        widths=widths,
        intervals={row.role: row.interval for row in rows if row.quantity == "learning_rate"},
        shift=_shift(calibration),
        details={
            "calibration_id": identifier,
            "architecture": rows[0].architecture,
            "dataset": rows[0].dataset,
            "widths": widths,
            "estimates": [_estimate(row) for row in rows],
        },
    )


def _shift(calibration: StoredCalibration) -> float:
    """The finite-width shift of the law that the calibration chose, octaves × width; 0 where it chose another."""
    for candidate in (calibration.result or {}).get("candidates", ()):
        if candidate["chosen"]:
            return float(candidate["parameters"].get("shift", 0.0))
    return 0.0


def _estimate(row: ExponentRow) -> dict[str, object]:
    return {
        "id": row.id,
        "quantity": row.quantity,
        "role": row.role,
        "value": row.value,
        "standard_error": row.standard_error,
        "interval": None if row.interval is None else list(row.interval),
        "degrees_of_freedom": row.degrees_of_freedom,
        "theory": row.theory,
        "widths": list(row.widths),
    }


def _require_same_setting(request: schemas.TransferBody, calibration: StoredCalibration) -> None:
    """Refuse exponents measured in another setting: they say nothing about this one."""
    spec = calibration.spec
    for field, measured_with, asked in (
        ("parameterization", spec.parameterization, request.parameterization),
        ("optimizer", spec.optimizer, request.optimizer),
    ):
        if measured_with is not asked:
            raise _other_setting(calibration, field, measured_with.value, asked.value)
    # The exponents in force decide, not how they were written: ω may be the alignment's own or replaced.
    measured = spec.parsed_alignment
    wanted = request.to_request().scheme().alignment
    if (measured.hidden, measured.readout) == (wanted.hidden, wanted.readout):
        return
    if (measured.hidden, replace(measured.readout, omega=wanted.readout.omega)) == (wanted.hidden, wanted.readout):
        raise _other_setting(calibration, "readout_omega", float(measured.readout.omega), float(wanted.readout.omega))
    raise _other_setting(calibration, "alignment", measured.name, wanted.name)


def _other_setting(calibration: StoredCalibration, field: str, measured: object, wanted: object) -> RefusedInputError:
    same = " (with other exponents)" if measured == wanted else ""
    return RefusedInputError(
        f"Calibration {calibration.id!r} was measured with {field} {measured!r}, and this transfer asks for "
        f"{wanted!r}{same}; use a calibration of the same setting, or exponents from theory.",
        errors=[{"pointer": f"#/{field}", "message": f"differs from the calibration's {measured!r}"}],
    )
