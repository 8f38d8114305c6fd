"""The expectation stored with a calibration; for older rows without one, the library's current one."""

import json
from functools import lru_cache

from service.store.database.records import JsonObject
from widthwise.calibration.spec import CalibrationSpec
from widthwise.search.expectation import expect
from widthwise.vocabulary import Runner

OUTLINES_KEPT = 64  # specifications without a stored expectation (chosen): only those from before there were rounds


def expected_of(stored: JsonObject | None, stored_spec: JsonObject) -> JsonObject:
    """Return the expectation stored with a calibration, or else compute it from the specification."""
    return _expected(json.dumps(stored_spec, sort_keys=True)) if stored is None else stored


@lru_cache(OUTLINES_KEPT)
def _expected(stored_spec: str) -> JsonObject:
    from widthwise.search.rounds import outline  # imported when first needed: it loads scipy

    spec = CalibrationSpec.from_dict(json.loads(stored_spec))
    return expect(spec, () if spec.runner is Runner.EXTERNAL else outline(spec))
