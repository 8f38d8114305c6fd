"""Whole numbers of request bodies: strict in Rust, and with one message that says the range."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

#: Beyond it several integers share one float: 2⁵³ + 1, too large as an integer, would come back as 2⁵³.
LARGEST_EXACT = 2**53 - 1


@dataclass(frozen=True)
class Whole:
    """Marks an `int` field that takes whole numbers from `low` to `high`, for use in Annotated.

    64.0 is 64, as JSON Schema has it and as pydantic's strict int has not; "64" and true are no numbers.
    """

    low: int
    high: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """An integer, or else a float that is one; the first is tried first and costs no Python."""
        del source, handler
        high = min(self.high, LARGEST_EXACT)
        as_float = core_schema.float_schema(strict=True, ge=self.low, le=high, multiple_of=1, allow_inf_nan=False)
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
        """One integer schema in place of the union."""
        del schema, handler
        return {"type": "integer", "minimum": self.low, "maximum": self.high}
