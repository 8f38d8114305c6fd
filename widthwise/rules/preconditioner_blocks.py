"""The rule for preconditioners in blocks: η ∝ (b_in·b_out)^(−e) of Shampoo and SOAP (2512.05620).

A matrix of out × in is cut into ⌈in/block⌉·⌈out/block⌉ blocks, each with preconditioners of its size. Their update is
then larger than that of the whole: with e = ½, each block has spectral norm 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.rules.contract import NO_CHANGES, Case, Changes, Factors, Subject
from widthwise.rules.in_force import Scheme
from widthwise.theory.optimizers import OPTIMIZERS, decay_mode_in_force, epsilon_power, update_scale
from widthwise.vocabulary import QuantityName, Role, WeightDecayMode

_NOTHING = Factors({}, "")


class PreconditionerBlocks:
    """What the optimizer's block size does to η and ε where the number of blocks grows."""

    name = "blocks"
    covers: frozenset[str] = frozenset()

    def apply(self, case: Case) -> "BlocksInForce | None":
        """In force if the request has a block size. Raises InvalidInputError for an optimizer without blocks."""
        if case.block_size is None:
            return None
        optimizer = case.scheme.optimizer
        if update_scale(optimizer, Role.HIDDEN).preconditioner is None:
            raise InvalidInputError(
                f"block_size is {case.block_size}, and {OPTIMIZERS[optimizer].label} preconditions no blocks; leave it "
                "out",
                field="block_size",
            )
        return BlocksInForce(case.scheme, case.block_size, case.widths)


@dataclass(frozen=True, slots=True)
class BlocksInForce:
    """The numbers of blocks of each hidden matrix."""

    scheme: Scheme
    block_size: int
    widths: tuple[int, int] | None
    source: str = "2512.05620"
    cautions: tuple[Caution, ...] = ()
    changes: Changes = field(default_factory=lambda: NO_CHANGES)

    def factors(self, subject: Subject, _before: Mapping[QuantityName, float]) -> Factors:
        """Those of a hidden matrix; the rest is AdamW's."""
        scale = update_scale(self.scheme.optimizer, subject.role)
        if scale.preconditioner is None:
            return _NOTHING
        if subject.fans is not None:
            base_in, target_in, base_out, target_out = subject.fans
            growth = self._blocks(target_in) * self._blocks(target_out) / self._blocks(base_in) / self._blocks(base_out)
        else:
            assert self.widths is not None  # noqa: S101 - a role's line has a width
            growth = (self._blocks(self.widths[1]) / self._blocks(self.widths[0])) ** 2
        rate = growth ** -float(scale.preconditioner)
        multipliers: dict[QuantityName, float] = {
            "learning_rate": rate,
            "epsilon": growth ** (-epsilon_power(self.scheme.optimizer, subject.role) / 2),
        }
        if decay_mode_in_force(self.scheme.optimizer, self.scheme.weight_decay_mode) is WeightDecayMode.DECOUPLED:
            multipliers["weight_decay"] = 1 / rate  # η·λ stays
        return Factors(
            multipliers,
            f"blocks of {self.block_size}: ×{growth:.6g} of them, η × (b_in·b_out)^(−{float(scale.preconditioner):g}) "
            f"({self.source})",
        )

    def _blocks(self, size: int) -> int:
        return math.ceil(size / self.block_size)
