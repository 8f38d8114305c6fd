"""What a transfer takes from measurements: of a calibration, of a user's own sweep, or nothing."""

from collections.abc import Mapping
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from service.store import Store
from service.sweeps.fits import FitsForSender
from service.transfers.from_sweep import swept_exponents
from service.transfers.logic import calibrated_exponents
from service.transfers.schemas import CalibrationExponents, SweepExponents, TransferBody
from widthwise.rules.beyond_width.named import NamedRule
from widthwise.rules.exponents import Exponents


class FromMeasurements(NamedTuple):
    """Exponents over width, and rules about batch and tokens; none: theory's, and those that the request names."""

    exponents: Exponents | None
    rules: Mapping[str, NamedRule]


NOTHING = FromMeasurements(None, {})


def names_measurements(transfer: TransferBody) -> bool:
    """Whether a request takes anything from a calibration or a sweep."""
    return isinstance(transfer.exponents, CalibrationExponents | SweepExponents)


async def measured(transfer: TransferBody, store: Store, fits: FitsForSender) -> FromMeasurements:
    """Return what the calibration or sweep measured that a request names.

    Raises as `calibrated_exponents` and `swept_exponents` do.
    """
    if isinstance(transfer.exponents, CalibrationExponents):
        return FromMeasurements(await run_in_threadpool(calibrated_exponents, transfer, store), {})
    return FromMeasurements(*await swept_exponents(transfer, store, fits))
