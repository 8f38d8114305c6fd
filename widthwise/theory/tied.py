"""One tensor that both embeds and reads out: the exponents that serve the two uses at once.

The readout's weights are rewritten to the embedding's init scale by the equivalence map, which moves the rest into
the readout's forward multiplier.  muP's two uses then ask for one learning rate exactly (this is Table 8 of Tensor
Programs V, 2203.03466, the form of the `mup` package).  Where they do not (SP and NTK under full alignment) the
smaller learning rate is the stable one, and the gradient is that of the use that sends the larger one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from widthwise.errors import UnplacedTensorsError
from widthwise.tensors.placement import Placement, Tensor
from widthwise.theory.parameterization import RoleExponents, shift
from widthwise.transfers.plan import Caution
from widthwise.vocabulary import Optimizer, Role

ROUNDING = 1e-9  # exponents are sums of a few floats: what differs by less is equal


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


def tied_exponents(
    theory: Mapping[Role, RoleExponents],
    learning_rate: Mapping[Role, float],
    gradient: Mapping[Role, float],
    optimizer: Optimizer,
) -> tuple[dict[Role, RoleExponents], dict[Role, float], dict[Role, float], tuple[Caution, ...]]:
    """Exponents of embedding and readout when they share weights: (theory, c in force, g in force, warnings)."""
    embedding, readout = theory[Role.EMBEDDING], theory[Role.READOUT]
    theta = readout.b - embedding.b
    moved = shift(readout, theta, optimizer)
    c_embedding = learning_rate[Role.EMBEDDING]
    c_readout = learning_rate[Role.READOUT] + float(moved.c - readout.c)
    c = max(c_embedding, c_readout)
    g = min(gradient[Role.EMBEDDING], gradient[Role.READOUT] + float(theta))
    g_theory = min(embedding.g, moved.g)
    together = {
        **theory,
        Role.EMBEDDING: replace(embedding, g=g_theory),
        Role.READOUT: replace(moved, g=g_theory),
    }
    warnings: tuple[Caution, ...] = ()
    if abs(c_embedding - c_readout) > ROUNDING:
        warnings = (
            Caution(
                "tied_conflict",
                f"the tied tensor needs learning rate ∝ width^{-c_embedding + 0.0:.4g} as an embedding and "
                f"∝ width^{-c_readout + 0.0:.4g} as a readout: the plan takes the smaller one; untie the two, "
                "or use 'mup' under full alignment, where they agree",
            ),
        )
    both = {Role.EMBEDDING: c, Role.READOUT: c}
    return together, {**learning_rate, **both}, {**gradient, Role.EMBEDDING: g, Role.READOUT: g}, warnings
