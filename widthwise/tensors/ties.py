"""Ties: which tensors share their weights between an embedding and a readout."""

from collections.abc import Sequence

from widthwise.errors import UnplacedTensorsError
from widthwise.tensors.placement import Placement, Tensor
from widthwise.vocabulary import Role


def tied_names(tensors: Sequence[Tensor], placements: Sequence[Placement]) -> frozenset[str]:
    """Names of the tensors that share weights between an embedding and a readout.

    Raises UnplacedTensorsError for a tie between other roles, unless both sides have one role and fans alike.
    """
    if all(tensor.tied_to is None for tensor in tensors):
        return frozenset()
    by_name = {tensor.name: p for tensor, p in zip(tensors, placements, strict=True)}
    names: set[str] = set()
    problems = []
    for tensor in tensors:
        if tensor.tied_to is None:
            continue
        ours, owner = by_name[tensor.name], by_name[tensor.tied_to]
        if {ours.role, owner.role} == {Role.EMBEDDING, Role.READOUT}:
            names |= {tensor.name, tensor.tied_to}
        elif ours.role is not owner.role or ours.fans != owner.fans:
            problems.append(
                (
                    tensor.name,
                    f"tied to {tensor.tied_to!r}, but one is {ours.role.value} and the other {owner.role.value}; a tie "
                    "joins an embedding and a readout, or two tensors of one role and shape",
                )
            )
    if problems:
        raise UnplacedTensorsError(problems)
    return frozenset(names)
