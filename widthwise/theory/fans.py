"""Fan-in and fan-out of one tensor, at both sizes."""

from typing import NamedTuple


class Fans(NamedTuple):
    """Fan-in and fan-out of one tensor at both sizes (products over the fan axes)."""

    base_in: int
    target_in: int
    base_out: int
    target_out: int

    @property
    def ratio_in(self) -> float:
        return self.target_in / self.base_in

    @property
    def ratio_out(self) -> float:
        return self.target_out / self.base_out
