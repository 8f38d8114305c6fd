"""Exponents that replace theory's: measured ones, or a user's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from widthwise.caution import Caution
from widthwise.vocabulary import Form, Role


@dataclass(frozen=True, slots=True)
class Exponents:
    """Exponents that replace theory's: measured ones, or ones that a user gives.

    `learning_rate` and `epsilon` map roles to c and g; omitted roles keep theory's.  `form` is the form of muP in which
    they were measured; a transfer in another form converts them.
    """

    learning_rate: Mapping[Role | str, float] = field(default_factory=dict)
    epsilon: Mapping[Role | str, float] = field(default_factory=dict)
    form: Form | str = Form.TABLE_9
    source: str = "custom"
    widths: Sequence[int] = ()  #: behind the measurement, for the warnings
    #: 95 % intervals of the learning-rate exponents by role, in the same form; None if there is none
    intervals: Mapping[Role | str, tuple[float, float] | None] = field(default_factory=dict)
    #: k, octaves × width: at width n every best learning rate lies k/n octaves below its limit (2505.02222)
    shift: float = 0.0
    cautions: Sequence[Caution] = ()  #: of the measurement: reasons to trust it less, which the plan repeats
    details: Mapping[str, Any] = field(default_factory=dict)  #: copied into the provenance
