"""Whole numbers in request bodies: strict, checked in Rust, with one message that states the range."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

#: Beyond it several integers share one float: 2⁵³ + 1, too large as an integer, would come back as 2⁵³.
LARGEST_EXACT = 2**53


@dataclass(frozen=True)
class Whole:
    """Marks an `int` field that takes whole numbers from `low` to `high`, for use in Annotated.

    Accepts 64.0 as 64, as JSON Schema does (pydantic's strict int does not); "64" and true are refused.
    """

    low: int
    high: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """An integer, or else a float with an integer value; integers are tried first and run no Python."""
        del source, handler
        high = min(self.high, LARGEST_EXACT)
        whole = core_schema.float_schema(strict=True, ge=self.low, le=high, allow_inf_nan=False)
        as_float = core_schema.no_info_before_validator_function(_only_float, whole)
        return core_schema.union_schema(
            [
                core_schema.int_schema(strict=True, ge=self.low, le=self.high),
                core_schema.no_info_after_validator_function(int, as_float),
            ],
            mode="left_to_right",
            custom_error_type="whole_number",
            custom_error_message=f"It must be an integer from {self.low} to {self.high}",
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """One integer schema instead of the union."""
        del schema, handler
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


def _only_float(value: Any) -> float:
    """Refuse an integer, which was out of range (as a float 2⁵³ + 1 would be 2⁵³), and a float that is not whole.

    Pydantic's `multiple_of` takes 1e-42 for a multiple of 1.
    """
    if not isinstance(value, float) or not value.is_integer():
        raise ValueError("not a whole float")
    return value
