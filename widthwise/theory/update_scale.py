"""How the size of an update depends on the gradient and on the parameter, and what follows for stability.

With learning rate ∝ n^(−c), gradient RMS ∝ n^(−g) and parameter RMS ∝ n^(−b), the update ΔW scales as
n^(−c−g) for SGD, n^(−c) for the Adam family and n^(−c−b) for updates relative to the parameter
(Everett et al. 2024, arXiv 2407.05872, section on optimizers).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol


class _InitScale(Protocol):
    """What an update's size can follow: the exponents of init std (b) and gradient RMS (g)."""

    @property
    def b(self) -> Fraction: ...
    @property
    def g(self) -> Fraction: ...


@dataclass(frozen=True, slots=True)
class UpdateScale:
    """What the RMS of an update is proportional to, apart from the learning rate, and what follows for stability."""

    name: str
    follows: Literal["g", "b"] | None  #: ΔW ∝ n^(−c−g), n^(−c−b), or n^(−c) alone
    #: A shift n^(−θ) of the weights into the multiplier takes k·θ off c: ΔW must shrink by n^(−θ), and its gradient
    #: grows by n^(−θ) fewer powers (Everett et al. 2024, equivalence classes).
    shift_of_c: int
    #: c ≥ 0: a relative update must not outgrow the parameter itself.
    keeps_parameter_scale: bool = False
    #: c_out ≥ b − a: else the readout's update outgrows its init and back-propagated gradients leave their initial
    #: scale (the starred cells of Table 1).
    keeps_backward_scale: bool = False
    #: λW in the gradient and W ← W − ηλW are the same update.
    coupled_is_decoupled: bool = False

    #: What the RMS falls by with width besides, in powers: ½ of an orthogonal matrix, 1 of a sign over the fan-in.
    falls: Fraction = Fraction(0)
    #: α and u of any update, whatever it meets; None: the alignment of the request. An orthogonal matrix passes on the
    #: RMS of every vector: √n · n^(−½), which is α = ½.
    alignment: Fraction | None = None
    #: η × min(1, √(out/in)) besides: what the optimizer's own scale leaves of the spectral norm √(out/in)
    narrows: bool = False
    has_epsilon: bool = True  #: one that matters; that of an orthogonalisation guards against zero alone
    #: e, the inverse power of both preconditioners together: the update of G = USVᵀ is ∝ U·S^(1−2e)·Vᵀ, without a scale
    #: for its shape, so that η takes on √(out/in) and what is left of ‖G‖; its epsilon is compared with ‖G‖.
    preconditioner: Fraction | None = None
    epsilon_power: int | None = None  #: of ‖G‖ or the gradient, if it is not the optimizer's
    keeps_norm: bool = False  #: the weights stay on the sphere of their init, so that decay does nothing
    source: str = ""  #: where its exponents come from, if not from Everett et al.'s table

    def offset(self, init: _InitScale) -> Fraction:
        """What the update's exponent has beyond c."""
        if self.preconditioner is not None:  # ‖G‖ ∝ n^(1−g), to the power 1 − 2e
            return self.falls + (1 - 2 * self.preconditioner) * (init.g - 1)
        return self.falls + (Fraction(0) if self.follows is None else getattr(init, self.follows))

    @property
    def law(self) -> str:
        """What an update is proportional to over width, as tables say it: "n^(−c−b)"."""
        falls = {Fraction(0): "", Fraction(1, 2): "−½", Fraction(1): "−1"}[self.falls]
        follows = "" if self.follows is None else f"−{self.follows}"
        norm = "" if self.preconditioner in (None, Fraction(1, 2)) else "·‖G‖⁻¹"
        return f"n^(−c{follows}{falls}){norm}"


GRADIENT = UpdateScale("gradient", "g", 2, keeps_backward_scale=True, coupled_is_decoupled=True)
UNIT = UpdateScale("unit", None, 1)
PARAMETER = UpdateScale("parameter", "b", 0, keeps_parameter_scale=True)

#: An orthogonal matrix of out × in has spectral norm 1, and features move by Θ(1) if the update's is √(out/in) (Yang,
#: Simon and Bernstein 2023, 2310.17813). What is left for η is √(out/in) over the scale that the optimizer applies:
#: 1 over √(out/in); min(1, √(out/in)) over √max(1, out/in); and min(1, √(out/in))/√in over √max(out, in).
_HALF = Fraction(1, 2)
_SPECTRAL = "spectral condition, 2310.17813"
ORTHOGONAL_UNIT = UpdateScale(
    "orthogonal, × √(out/in)", None, 1, falls=_HALF, alignment=_HALF, has_epsilon=False, source=_SPECTRAL
)
ORTHOGONAL_KELLER = UpdateScale(
    "orthogonal, × √max(1, out/in)",
    None,
    1,
    falls=_HALF,
    alignment=_HALF,
    narrows=True,
    has_epsilon=False,
    source=_SPECTRAL,
)
ORTHOGONAL_RMS = UpdateScale(
    "orthogonal, × √max(out, in)", None, 1, alignment=_HALF, narrows=True, has_epsilon=False, source=_SPECTRAL
)

#: 2512.05620's formulas of Shampoo and SOAP in the width: η ∝ (out/in)^(1−e) at muP's ‖G‖ ∝ √(in/out). The ridge of
#: Shampoo is added to GGᵀ, SOAP's ε to rotated entries as large as ‖G‖.
_BLOCKED = "2512.05620"
SHAMPOO = UpdateScale(
    "Shampoo, ¼ and ¼",
    None,
    1,
    falls=_HALF,
    alignment=_HALF,
    preconditioner=_HALF,
    epsilon_power=2,
    source=_BLOCKED,
)
SHAMPOO_HALF = UpdateScale(
    "Shampoo, ½ and ½",
    None,
    0,
    falls=_HALF,
    alignment=_HALF,
    preconditioner=Fraction(1),
    epsilon_power=2,
    source=_BLOCKED,
)
SOAP = UpdateScale(
    "SOAP", None, 1, falls=_HALF, alignment=_HALF, preconditioner=_HALF, epsilon_power=1, source=_BLOCKED
)

#: An update of norm η·‖W‖ and a projection back to the norm of the init (2606.16899). For an orthogonal one that is
#: η·RMS(W)·√max(out, in) in spectral norm, which muP's init makes √(out/in): no factor of width, as HyperP has it.
ORTHOGONAL_SPHERE = UpdateScale(
    "orthogonal on the sphere",
    "b",
    0,
    keeps_parameter_scale=True,
    alignment=_HALF,
    has_epsilon=False,
    keeps_norm=True,
    source="HyperP, 2603.28743",
)
PARAMETER_SPHERE = UpdateScale(
    "Adam's on the sphere", "b", 0, keeps_parameter_scale=True, keeps_norm=True, source="Hyperball, 2606.16899, derived"
)
SIGN_OVER_FAN_IN = UpdateScale("sign over the fan-in", None, 1, falls=Fraction(1), has_epsilon=False)
SIGN = UpdateScale("unit without epsilon", None, 1, has_epsilon=False)
