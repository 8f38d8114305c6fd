"""How each quantity of one tensor scales with its own fan-in and fan-out.

Table 1 of Everett et al. 2024 has one width n.  Real tensors have two fans that may grow by different ratios,
so each exponent is split over the two.  If both grow equally, the split adds up to Table 1; for muP it is the
spectral condition ‖W‖, ‖ΔW‖ ~ √(fan_out/fan_in) (Yang, Simon and Bernstein 2023, 2310.17813).

Derivation, for a hidden tensor with fans (i, o), multiplier i^(−a), p = max(α, u) and β = a_out + b_out:
  · forward: n^(−a) ΔW z sums over i, so an Adam update needs η ∝ i^(a−p): only fan-in;
  · backward: the gradient that reaches an output of o units has RMS ∝ o^(−β).  The readout sends d^(−β) into a
    residual stream of d units; a down-projection i → d passes on √(d/i) of it (times √(d/i) again if muP narrows its
    init), which turns d^(−β) into i^(−β).  So RMS(grad W) ∝ i^(−a) o^(−β), and SGD needs η ∝ i^(2a−p) o^β;
  · init: 1/√i keeps activations; muP's class also keeps the spectral norm, × min(1, √(o/i)).

SP and NTK have these gradients from the first step, at any shape.  In muP's class that holds at init if blocks widen
(d_ff ≥ d).  If they narrow, gradients start lower because of the narrowed init, and reach it after a few steps of
training.  Tests measure both, on networks with fans that grow by different ratios
(tests/examples/test_measured_gradients.py).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from widthwise.theory.fans import Fans
from widthwise.theory.optimizers import decay_mode_in_force, epsilon_power, update_scale
from widthwise.theory.parameterization import RoleExponents, backward_exponent, is_feature_scaled
from widthwise.vocabulary import Optimizer, Parameterization, QuantityName, Role, WeightDecayMode


@dataclass(frozen=True, slots=True)
class Power:
    """A quantity ∝ fan_in^(−fan_in) · fan_out^(−fan_out)."""

    fan_in: float
    fan_out: float

    @property
    def total(self) -> float:
        """The exponent if both fans grow by the same ratio: the role's entry in Table 1."""
        return self.fan_in + self.fan_out

    def multiplier(self, ratio_in: float, ratio_out: float) -> float:
        """Return target over base; exactly 1.0 if no relevant fan changes."""
        multiplier: float = ratio_in**-self.fan_in * ratio_out**-self.fan_out
        return multiplier


@dataclass(frozen=True, slots=True)
class RoleScaling:
    """The powers of every quantity of one role, and how they combine for a tensor."""

    learning_rate: Power
    epsilon: Power
    init_std: Power
    forward_multiplier: Power
    gradient_rms: Power
    spectral_init: bool  #: muP's class, hidden: init × min(1, √(o/i))
    relative_c: float | None  #: hidden c of updates relative to a spectral init, None elsewhere
    narrows: bool  #: η × min(1, √(o/i)): an orthogonal update whose own scale stops at 1
    weight_decay_mode: WeightDecayMode
    has_epsilon: bool
    exponents: Mapping[QuantityName, float]  #: of every quantity that the role has, if both fans grow equally

    def multipliers(self, fans: Fans) -> dict[QuantityName, float]:
        """Return target over base of every quantity, for a tensor with these fans."""
        base_in, target_in, base_out, target_out = fans
        ratio_in, ratio_out = target_in / base_in, target_out / base_out
        learning_rate = self.learning_rate.multiplier(ratio_in, ratio_out)
        init_std = self.init_std.multiplier(ratio_in, ratio_out)
        gradient = self.gradient_rms.multiplier(ratio_in, ratio_out)
        if self.spectral_init:
            init_std *= _aspect(target_in, target_out) / _aspect(base_in, base_out)
        if self.narrows:
            learning_rate *= _aspect(target_in, target_out) / _aspect(base_in, base_out)
        if self.relative_c is not None:
            c = self.relative_c
            learning_rate *= _relative(target_in, target_out, c) / _relative(base_in, base_out, c)
        found: dict[QuantityName, float] = {
            "learning_rate": learning_rate,
            "init_std": init_std,
            "forward_multiplier": self.forward_multiplier.multiplier(ratio_in, ratio_out),
            "weight_decay": _decay_multiplier(self.weight_decay_mode, learning_rate, gradient, init_std),
            "gradient_rms": gradient,
        }
        if self.has_epsilon:
            found["epsilon"] = self.epsilon.multiplier(ratio_in, ratio_out)
        return found

    def multipliers_of_width(self, ratio: float) -> dict[QuantityName, float]:
        """Return target over base of every quantity if both fans grow by the same ratio: the role's law."""
        return {name: ratio**-exponent for name, exponent in self.exponents.items()}


def _aspect(fan_in: int, fan_out: int) -> float:
    """Return min(1, √(fan_out/fan_in)), which gives a narrowing matrix the spectral norm √(fan_out/fan_in)."""
    return min(1.0, math.sqrt(fan_out / fan_in))


def _relative(fan_in: int, fan_out: int, c: float) -> float:
    """Return the factor on a relative learning rate ∝ fan_in^(−c) for a narrowed init.

    The update is η·RMS(W), so a narrowed W needs η / aspect; but not so much that η grows with width, which
    would break c ≥ 0.  Square matrices, and readouts in the limit of a fixed fan-out, agree with Table 1.
    """
    plain: float = float(fan_in) ** -c
    return min(1.0, plain / _aspect(fan_in, fan_out)) / plain


def _decay_multiplier(mode: WeightDecayMode, learning_rate: float, gradient: float, init_std: float) -> float:
    """Return λ's target over base.

    decoupled: W ← W − ηλW, keep ηλ (Wang and Aitchison 2024, 2405.13698; Kosson et al. 2025, 2510.19093);
    independent: λ acts alone, keep it;
    coupled: keep λW at its share of the gradient, λ ∝ RMS(grad)/RMS(W).  Under Adam the decay per step is then
    ηλ/RMS(grad), which is not constant in width.  With SGD it is ηλ, and `role_scalings` asks for the decoupled rule.
    """
    if mode is WeightDecayMode.DECOUPLED:
        return 1.0 / learning_rate
    if mode is WeightDecayMode.INDEPENDENT:
        return 1.0
    return gradient / init_std


def role_scalings(
    parameterization: Parameterization,
    optimizer: Optimizer,
    exponents: Mapping[Role, RoleExponents],
    *,
    c: Mapping[Role, float],
    g: Mapping[Role, float],
    feature_change: float,
    weight_decay_mode: WeightDecayMode,
) -> Mapping[Role, RoleScaling]:
    """Split every exponent of every role over fan-in and fan-out.

    `exponents` are the theory's, in the form in force; `c` and `g` hold the totals in force (theory or
    measured); whatever they add to theory goes to the fan that carries the role's width.
    `feature_change` is the readout's required r (½ for SP and NTK if ω_readout is 1).
    """
    backward = float(backward_exponent(parameterization))
    mode = decay_mode_in_force(optimizer, weight_decay_mode)
    scalings = {}
    for role, e in exponents.items():
        scale, power = update_scale(optimizer, role), epsilon_power(optimizer, role)
        backward_in_update = backward if scale.follows == "g" else 0.0  # kept from the gradient by the update
        on_out = role in (Role.EMBEDDING, Role.VECTOR)
        is_hidden = role is Role.HIDDEN

        def split(total: float, out: float, *, on_out: bool = on_out, is_hidden: bool = is_hidden) -> Power:
            if is_hidden:
                return Power(total - out, out)
            return Power(0.0, total) if on_out else Power(total, 0.0)

        c_role, g_role = c[role], g[role]
        relative = is_hidden and scale.follows == "b" and is_feature_scaled(parameterization)
        learning_rate = split(c_role, feature_change - backward_in_update)
        epsilon = split(power * g_role, power * backward)
        if scale.preconditioner is not None:  # ‖G‖ ∝ √(in·out)·in^(−a)·out^(−β), and η ∝ √(out/in)·‖G‖^(2e−1)
            e_left = 1 - 2 * float(scale.preconditioner)
            learning_rate = split(c_role, feature_change - 0.5 + e_left * (0.5 - backward))
            epsilon = split(power * (g_role - 1), power * (backward - 0.5))
        a, b = float(e.a), float(e.b)
        decay = {
            WeightDecayMode.DECOUPLED: -c_role,
            WeightDecayMode.INDEPENDENT: 0.0,
            WeightDecayMode.COUPLED: g_role - b,
        }[mode]
        totals: dict[QuantityName, float] = {
            "learning_rate": c_role,
            "init_std": b,
            "forward_multiplier": a,
            "weight_decay": decay,
            "gradient_rms": g_role,
        }
        if power:
            totals["epsilon"] = epsilon.total
        scalings[role] = RoleScaling(
            learning_rate=learning_rate,
            epsilon=epsilon,
            init_std=split(b, 0.0),
            forward_multiplier=split(a, 0.0),
            gradient_rms=split(g_role, backward),
            spectral_init=is_hidden and is_feature_scaled(parameterization),
            relative_c=float(e.c) if relative else None,
            narrows=is_hidden and scale.narrows,
            weight_decay_mode=mode,
            has_epsilon=power > 0,
            exponents={name: x + 0.0 for name, x in totals.items()},  # + 0.0: no negative zero
        )
    return MappingProxyType(scalings)
