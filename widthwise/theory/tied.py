"""One tensor that is both embedding and readout: the exponents that suit both uses.

The equivalence map rewrites the readout's weights to the embedding's init scale and moves the rest into the readout's
forward multiplier.  In muP both uses then need exactly the same learning rate (this is Table 8 of Tensor Programs V,
2203.03466, the form of the `mup` package).  If they do not (SP and NTK under full alignment), the smaller learning rate
is the stable one, and the gradient is the larger of the two uses' gradients.
"""

from collections.abc import Mapping
from dataclasses import replace

from widthwise.caution import Caution
from widthwise.theory.parameterization import RoleExponents, shift
from widthwise.vocabulary import Optimizer, Role

ROUNDING = 1e-9  # exponents are sums of a few floats; smaller differences are rounding


def tied_exponents(
    theory: Mapping[Role, RoleExponents],
    learning_rate: Mapping[Role, float],
    gradient: Mapping[Role, float],
    optimizer: Optimizer,
) -> tuple[dict[Role, RoleExponents], dict[Role, float], dict[Role, float], tuple[Caution, ...]]:
    """Return the exponents of embedding and readout that share weights: (theory, c in force, g in force, warnings)."""
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
                f"∝ width^{-c_readout + 0.0:.4g} as a readout; the plan uses the smaller one. Untie the two, "
                "or use 'mup' with full alignment, for which they agree",
            ),
        )
    both = {Role.EMBEDDING: c, Role.READOUT: c}
    return together, {**learning_rate, **both}, {**gradient, Role.EMBEDDING: g, Role.READOUT: g}, warnings
