"""The exponents that a user's own sweep measured, for a transfer in the setting of its runs."""

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from service.errors import NoSuchResourceError, RefusedInputError
from service.store import Store, StoredSweep
from service.store import errors as store_errors
from service.sweeps.fits import FitsForSender
from service.sweeps.logic import fitted
from service.transfers import schemas
from widthwise.rules.beyond_width.named import NamedRule
from widthwise.rules.exponents import Exponents
from widthwise.theory.alignment import parse

if TYPE_CHECKING:
    from widthwise.sweeps import SweepFit

WIDTH = "width"


async def swept_exponents(
    request: schemas.TransferBody, store: Store, fits: FitsForSender
) -> tuple[Exponents, dict[str, NamedRule]]:
    """Return the exponents of the named sweep, and the rules about batch and tokens that the request wants measured.

    A fit that is not kept yet takes seconds.

    Raises NoSuchResourceError (404), RefusedInputError (422: it has no width, or was trained in another setting),
    ConflictError (409: no fit), EstimateError (409: its exponent over width is mostly prior).
    """
    assert isinstance(request.exponents, schemas.SweepExponents)  # noqa: S101  the route asked
    identifier = request.exponents.id
    try:
        sweep = await run_in_threadpool(store.sweeps.get, identifier)
    except store_errors.NotFoundError:
        raise NoSuchResourceError(
            f"exponents.id: there is no sweep {identifier!r}; GET /v1/sweeps lists them.",
            errors=[{"pointer": "#/exponents/id", "message": "names no sweep", "value": identifier}],
        ) from None
    _require_width(sweep)
    _require_same_setting(request, sweep)
    sweep, fit = await fitted(fits, store, identifier)
    return await run_in_threadpool(_measured, request, sweep, fit)


def _measured(
    request: schemas.TransferBody, sweep: StoredSweep, fit: "SweepFit"
) -> tuple[Exponents, dict[str, NamedRule]]:
    from widthwise.sweeps.exponents import SweepSetting, measured_rule, width_exponents  # scipy, as the fit has loaded

    reading = sweep.reading
    setting = SweepSetting.of(
        *(reading["parameterization"], reading["optimizer"], reading["alignment"]),
        readout_omega=reading["readout_omega"],
        form=reading["form"],
        prescribed=WIDTH in reading["prescribed"],
    )
    named = {"sweep_id": sweep.id, "name": sweep.name, "revision": sweep.revision, "runs": sweep.runs}
    ends = request.library_base(), request.library_target()
    said = f"sweep {sweep.id}, revision {sweep.revision}"
    rules = {about.value: measured_rule(fit, about, *ends, said) for about in request.rules.measured()}
    return width_exponents(fit, setting, named), rules


def _require_width(sweep: StoredSweep) -> None:
    """Refuse a sweep that can't say how the learning rate goes with width, before it is fitted."""
    axis = sweep.axes.get(WIDTH)
    if sweep.runs and (axis is None or "low" not in axis):
        raise _refused(
            f"Sweep {sweep.id!r} has no numeric axis `width` (it has {', '.join(sweep.axes) or 'none'}), so it can't "
            "say how the learning rate goes with width; use a sweep over width, or exponents from theory.",
            "exponents/id",
            "names a sweep without width",
        )
    for field in ("parameterization", "optimizer"):
        if sweep.reading[field] is None:
            raise _refused(
                f"Sweep {sweep.id!r} does not say with which {field} its models were trained; upload it again with "
                f"`{field}`.",
                "exponents/id",
                f"names a sweep without {field}",
            )


def _require_same_setting(request: schemas.TransferBody, sweep: StoredSweep) -> None:
    """Refuse exponents measured in another setting: they say nothing about this one.

    Theory's alignment enters only rates that were prescribed over width.
    """
    reading = sweep.reading
    settings = [
        ("parameterization", reading["parameterization"], request.parameterization.value),
        ("optimizer", reading["optimizer"], request.optimizer.value),
    ]
    if WIDTH in reading["prescribed"]:
        measured, wanted = (
            parse(reading["alignment"], reading["readout_omega"]),
            request.to_request().scheme().alignment,
        )
        if (measured.hidden, measured.readout) != (wanted.hidden, wanted.readout):
            omegas = f" (ω of the readout {float(measured.readout.omega):g} and {float(wanted.readout.omega):g})"
            same = measured.name == wanted.name
            settings.append(("alignment", measured.name + (omegas if same else ""), wanted.name))
    for field, trained, asked in settings:
        if trained != asked:
            raise _refused(
                f"Sweep {sweep.id!r} was trained with {field} {trained!r}, and this transfer asks for {asked!r}; use a "
                "sweep of the same setting, or exponents from theory.",
                field,
                f"differs from the sweep's {trained!r}",
            )


def _refused(detail: str, pointer: str, message: str) -> RefusedInputError:
    return RefusedInputError(detail, errors=[{"pointer": f"#/{pointer}", "message": message}])
