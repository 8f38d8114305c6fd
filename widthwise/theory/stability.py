"""Largest stable learning-rate exponents for any parameterization, optimizer and alignment.

After training, a pre-activation is the sum of W z, W Δz, ΔW z and ΔW Δz.  Training is stable if no feature moves by
more than O(1) (r ≥ 0 at every layer) and the logits stay O(1), and non-trivial if they move at all.  All of that is
linear in the learning-rate exponents c, so the largest stable learning rates are the solution of a linear program
(Everett et al. 2024, arXiv 2407.05872, stability and non-triviality constraints and Table 1).

There are two independent routes: `solve` passes the constraints to scipy's HiGHS as printed in the paper;
`largest_stable` is the exact solution in fractions, derived below.  Tests compare the two for arbitrary alignments, and
both with the published table and the equivalence map.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from widthwise.errors import InvalidInputError
from widthwise.theory.alignment import Alignment, AlignmentLike, Number, RoleAlignment, parse
from widthwise.theory.optimizers import update_scale
from widthwise.theory.parameterization import HALF, ZERO, RoleExponents, in_form, init_exponents
from widthwise.theory.update_scale import UpdateScale
from widthwise.vocabulary import Form, Optimizer, Parameterization, Role


@dataclass(frozen=True, slots=True)
class FeatureChange:
    """How slowly features must move for the logits to stay O(1): Δz ∝ n^(−r).

    `layers[0]` is the embedding's r, `layers[k]` the k-th hidden layer's; 0 means feature learning.
    """

    layers: tuple[Fraction, ...]

    @property
    def embedding(self) -> Fraction:
        return self.layers[0]

    @property
    def last(self) -> Fraction:
        return self.layers[-1]


def required_feature_change(
    parameterization: Parameterization | str, alignment: Alignment, hidden_layers: int = 1
) -> FeatureChange:
    """Return the smallest r of every layer that the initial weights allow, found from the readout backwards.

    The logits need a + b + r_L − ω ≥ 0 at the readout; each hidden layer passes its requirement on through
    W Δz, ½ + r_(l−1) − ω ≥ r_l.  Neither depends on the learning rates.
    """
    readout = init_exponents(parameterization)[Role.READOUT]
    r = max(ZERO, alignment.readout.omega - readout.a - readout.b)
    backwards = [r]
    for _ in range(hidden_layers):
        r = max(ZERO, r + alignment.hidden.omega - HALF)
        backwards.append(r)
    return FeatureChange(tuple(reversed(backwards)))


def largest_stable(
    parameterization: Parameterization | str,
    optimizer: Optimizer | str,
    alignment: AlignmentLike = "full",
    *,
    readout_omega: Number | None = None,
    hidden_layers: int = 1,
) -> dict[Role, Fraction]:
    """Return the exact smallest stable learning-rate exponent c of every role: the learning rate is ∝ n^(−c).

    First the features move as much as the initial weights allow (smallest r), then every c is as small as its own
    constraints allow; with r fixed the constraints no longer couple the layers, so each c is a maximum of a few
    terms.  With full or no alignment and ω_readout = ½ every r is 0 and this is Table 1 of Everett et al. 2024.

    `hidden_layers` matters only for a measured ω_hidden above ½, which compounds through layers without a residual
    path.  Range: 1 … 10,000.

    >>> {role.value: str(c) for role, c in largest_stable("standard", "adam", "full").items()}
    {'embedding': '0', 'hidden': '1', 'readout': '1', 'vector': '0', 'scalar': '0'}
    """
    if not 1 <= hidden_layers <= 10_000:
        raise InvalidInputError(f"hidden_layers is {hidden_layers}; give 1 … 10,000", field="hidden_layers")
    init, scale = init_exponents(parameterization), {role: update_scale(optimizer, role) for role in Role}
    align = parse(alignment, readout_omega)
    change = required_feature_change(parameterization, align, hidden_layers)
    r = change.layers

    def free(role: Role, need: Fraction) -> Fraction:
        """Return c from the exponent that multiplier × update must have, n^(−a) ΔW ∝ n^(−need)."""
        c = need - init[role].a - scale[role].offset(init[role])
        return max(c, ZERO) if scale[role].keeps_parameter_scale else c

    hidden = _of_update(align.hidden, scale[Role.HIDDEN])
    hidden_need = max(_need(hidden, r_in, r_out) for r_in, r_out in pairwise(r))
    readout_c = free(Role.READOUT, _need(_of_update(align.readout, scale[Role.READOUT]), change.last, ZERO))
    if scale[Role.READOUT].keeps_backward_scale:
        readout_c = max(readout_c, init[Role.READOUT].b - init[Role.READOUT].a)
    return {
        # Only ΔW x, as the input x neither grows nor changes.  A relative update has a + b = 0 here, so c = r.
        Role.EMBEDDING: free(Role.EMBEDDING, change.embedding),
        Role.HIDDEN: free(Role.HIDDEN, hidden_need),
        Role.READOUT: readout_c,
        Role.VECTOR: free(Role.VECTOR, change.embedding),
        Role.SCALAR: ZERO,
    }


def _of_update(alignment: RoleAlignment, scale: UpdateScale) -> RoleAlignment:
    """Return the alignment of a role's updates: the optimizer's own, if it has one whatever the data."""
    if scale.alignment is None:
        return alignment
    return RoleAlignment(alpha=scale.alignment, omega=alignment.omega, u=scale.alignment)


def _need(alignment: RoleAlignment, r_in: Fraction, r_out: Fraction) -> Fraction:
    """Return the smallest exponent of n^(−a) ΔW for which ΔW z and ΔW Δz move the output by at most n^(−r_out)."""
    return r_out + max(alignment.alpha, alignment.u - r_in)


@dataclass(frozen=True, slots=True)
class Solution:
    """The solution of the linear program."""

    c: Mapping[Role, float]  #: learning-rate exponents of embedding, hidden, readout
    r: tuple[float, ...]  #: feature-change exponents: embedding, then the hidden layers
    logits: float  #: exponent by which the trained logits move; 0 is non-trivial, above 0 they do not move


def solve(
    parameterization: Parameterization | str,
    optimizer: Optimizer | str,
    alignment: AlignmentLike = "full",
    *,
    readout_omega: Number | None = None,
    hidden_layers: int = 1,
) -> Solution:
    """Solve the stability constraints as a linear program with scipy's HiGHS (floats, about 5 ms).

    Variables: c_1, c_h, c_out and r_0 … r_L, where each r is a lower bound that the true feature change keeps.
    If α ≥ u, this is the paper's program, min Σc.  If u > α, that optimum is not unique (slower features allow a
    larger learning rate elsewhere), so the program is solved in two stages: first min Σr, then min Σc.
    """
    import numpy as np
    from scipy.optimize import linprog

    init, scale = init_exponents(parameterization), {role: update_scale(optimizer, role) for role in Role}
    align = parse(alignment, readout_omega)
    hidden, readout = (
        _of_update(align.hidden, scale[Role.HIDDEN]),
        _of_update(align.readout, scale[Role.READOUT]),
    )
    h, o = init[Role.HIDDEN], init[Role.READOUT]
    layers = hidden_layers
    c_e, c_h, c_o = 0, 1, 2
    n_variables = 3 + layers + 1

    def r(layer: int) -> int:
        return 3 + layer

    at_least: list[tuple[dict[int, float], Fraction]] = []  # Σ coefficient·variable ≥ bound

    def update(role: Role) -> Fraction:
        """Return the exponent of n^(−a) ΔW beyond c."""
        return init[role].a + scale[role].offset(init[role])

    at_least.append(({c_e: 1, r(0): -1}, -update(Role.EMBEDDING)))
    for layer in range(1, layers + 1):
        at_least += [
            ({c_h: 1, r(layer): -1}, hidden.alpha - update(Role.HIDDEN)),
            ({c_h: 1, r(layer - 1): 1, r(layer): -1}, hidden.u - update(Role.HIDDEN)),
            ({r(layer - 1): 1, r(layer): -1}, align.hidden.omega - h.a - h.b),
        ]
    at_least += [
        ({r(layers): 1}, align.readout.omega - o.a - o.b),
        ({c_o: 1}, readout.alpha - update(Role.READOUT)),
        ({c_o: 1, r(layers): 1}, readout.u - update(Role.READOUT)),
    ]
    at_least += [
        ({c: 1}, ZERO)
        for c, role in ((c_e, Role.EMBEDDING), (c_h, Role.HIDDEN), (c_o, Role.READOUT))
        if scale[role].keeps_parameter_scale
    ]
    if scale[Role.READOUT].keeps_backward_scale:
        at_least.append(({c_o: 1}, o.b - o.a))

    matrix = np.zeros((len(at_least), n_variables))
    bound = np.zeros(len(at_least))
    for row, (coefficients, limit) in enumerate(at_least):
        for column, coefficient in coefficients.items():
            matrix[row, column] = coefficient
        bound[row] = float(limit)
    sum_c = np.r_[np.ones(3), np.zeros(layers + 1)]
    sum_r = np.r_[np.zeros(3), np.ones(layers + 1)]
    r_bounds: list[tuple[float | None, float | None]] = [(0, None)] * (layers + 1)
    box: list[tuple[float | None, float | None]] = [(-10, 10)] * 3
    free: list[tuple[float | None, float | None]] = [(None, None)] * 3
    # c is free in the first stage; a box keeps that program bounded (every relevant exponent is below 10).
    first = linprog(sum_r, A_ub=-matrix, b_ub=-bound, bounds=box + r_bounds, method="highs").x
    assert first is not None  # noqa: S101 - feasible for every alignment: large c and r satisfy each constraint
    fixed: list[tuple[float | None, float | None]] = [(float(value), float(value)) for value in first[3:]]
    second = linprog(sum_c, A_ub=-matrix, b_ub=-bound + 1e-12, bounds=free + fixed, method="highs").x
    assert second is not None  # noqa: S101 - the first stage's solution is feasible here
    c = dict(zip((Role.EMBEDDING, Role.HIDDEN, Role.READOUT), map(float, second[:3]), strict=True))
    r_values = tuple(map(float, second[3:]))
    moved = c[Role.READOUT] + float(update(Role.READOUT))
    logits = min(
        float(o.a + o.b) + r_values[-1] - float(align.readout.omega),
        moved - float(readout.alpha),
        moved + r_values[-1] - float(readout.u),
    )
    return Solution(c, r_values, logits)


def theoretical_exponents(
    parameterization: Parameterization | str,
    optimizer: Optimizer | str,
    alignment: AlignmentLike = "full",
    *,
    readout_omega: Number | None = None,
    form: Form | str = Form.TABLE_9,
) -> dict[Role, RoleExponents]:
    """Return the exact exponents (a, b, c, g) of every role.

    `form` rewrites muP in one of its published forms; the other parameterizations have only one form, so anything
    but the default raises InvalidInputError for them.

    >>> theoretical_exponents("mup", "adam", form="table_8")[Role.READOUT]
    RoleExponents(a=Fraction(1, 1), b=Fraction(0, 1), c=Fraction(0, 1), g=Fraction(1, 1))
    """
    kind, opt, shape = Parameterization(parameterization), Optimizer(optimizer), Form(form)
    if shape is not Form.TABLE_9 and kind is not Parameterization.MUP:
        raise InvalidInputError(
            f"form is {shape.value!r}, but only muP is published in several forms; leave form out for {kind.value!r}",
            field="form",
        )
    return dict(_theory(kind, opt, parse(alignment, readout_omega), shape))


@lru_cache(maxsize=1024)  # parameterizations × optimizers × forms × the alignments in use
def _theory(
    parameterization: Parameterization, optimizer: Optimizer, alignment: Alignment, form: Form
) -> Mapping[Role, RoleExponents]:
    c = largest_stable(parameterization, optimizer, alignment)
    exponents = {role: RoleExponents(e.a, e.b, c[role], e.g) for role, e in init_exponents(parameterization).items()}
    return in_form(exponents, optimizer, form)
