"""Every kind of measurement; a new one is one module and one line here."""

from collections.abc import Mapping

from workers.engine.measurements.alignment import ALIGNMENT
from workers.engine.measurements.coordinates import COORDINATES
from workers.engine.measurements.gradients import EPSILON
from workers.engine.measurements.kind import MeasurementKind

KINDS: Mapping[str, MeasurementKind] = {kind.name: kind for kind in (EPSILON, ALIGNMENT, COORDINATES)}
