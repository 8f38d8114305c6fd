"""The expectation stored with a calibration, or for rows older than that the library's now."""

import json
from functools import lru_cache

from service.store.database.records import JsonObject
from widthwise.calibration.spec import CalibrationSpec
from widthwise.search.expectation import expect
from widthwise.vocabulary import Runner

OUTLINES_KEPT = 64  # of specifications whose rows keep none: those made before there were rounds (chosen)


def expected_of(stored: JsonObject | None, stored_spec: JsonObject) -> JsonObject:
    """Return the expectation that is stored with a calibration, or else what its specification lets expect."""
    return _expected(json.dumps(stored_spec, sort_keys=True)) if stored is None else stored


@lru_cache(OUTLINES_KEPT)
def _expected(stored_spec: str) -> JsonObject:
    from widthwise.search.rounds import outline  # imported when first needed: it loads scipy

    spec = CalibrationSpec.from_dict(json.loads(stored_spec))
    return expect(spec, () if spec.runner is Runner.EXTERNAL else outline(spec))
