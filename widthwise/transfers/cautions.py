"""Warnings of a transfer: where a plan leaves what theory and published measurements cover."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from widthwise.model import Base, Target, by_role, changed_sizes
from widthwise.tensors.placement import Placement, Tensor
from widthwise.theory.alignment import Alignment
from widthwise.theory.parameterization import is_feature_scaled
from widthwise.transfers.plan import Caution
from widthwise.vocabulary import Parameterization, Role

EXTRAPOLATION_RATIO = 16  # chosen: the paper's fits span ×16 above the widths that it had to exclude
SMALL_BASE_WIDTH = 512  # Everett et al. 2024, figure 1: widths ≤ 512 left the power law
SMALL_HEAD_DIM = 64  # muGPT: proxies with head dim < 64 failed to transfer
SMALL_OUTPUT = 64  # chosen between 10 outputs (drifts) and 256 (transfers), both measured; Haas et al. 2505.22491
NEAR = 10  # chosen: at ε = RMS(grad)/10 Adam's step is already 9 % short
NOMINAL_BATCH_TOKENS = 2**17  # Everett et al. 2024: 256 sequences of 512 tokens
#: By what epsilon adds to.  |g|: float32 flushes v = g² to zero below about 1e-19; g²: its smallest normal number.
SMALLEST_EPSILON = {1: 1e-19, 2: 1.2e-38}


def cautions(
    *,
    parameterization: Parameterization,
    alignment: Alignment,
    base: Base,
    target: Target,
    tensors: Sequence[Tensor],
    placements: Sequence[Placement],
    g: Mapping[Role, float],
    epsilon_power: int,
) -> tuple[Caution, ...]:
    """Every warning that applies, in a fixed order."""
    distinct = list({id(p): p for p in placements}.values())  # few, however many tensors repeat them
    ratios = {ratio for p in distinct for ratio in _width_ratios(p)}
    widths = widths_of_model(base, target, distinct)
    stated = None if base.width is None or target.width is None else target.width / base.width
    if stated is not None:
        ratios.add(stated)
    return (
        *_on_ratios(ratios),
        *_on_base_width(widths),
        *_on_heads(base, target),
        *_on_output(parameterization, alignment, (base.output_dimension, target.output_dimension), distinct),
        *(_on_placements(tensors, placements, distinct, stated) if distinct else ()),
        *_on_other_sizes(base, target),
        *(_on_epsilon(base, target, g, widths, epsilon_power) if epsilon_power else ()),
    )


def measured_cautions(
    widths_of_model: tuple[int, int] | None,
    widths_measured: Sequence[int],
    intervals: Mapping[Role, tuple[float, float] | None],
    theory: Mapping[Role, float],
    *,
    shifted: bool = False,
) -> Iterator[Caution]:
    """Where measured learning-rate exponents are used beyond what was measured, or say no more than theory.

    With a finite-width shift (`shifted`) they agree with theory's and the plan still differs from it.
    """
    if widths_of_model is not None and widths_measured:
        low, high = min(widths_measured), max(widths_measured)
        base, target = widths_of_model
        if base != target and not (low <= base <= high and low <= target <= high):
            yield Caution(
                "measured_extrapolation",
                f"the exponents were measured at widths {low} to {high} and are used from {base} to {target}: what "
                "drifts at small widths is often a shift of order 1/width, which does not go on as a power",
            )
    if any(interval is None for interval in intervals.values()):
        yield Caution(
            "measured_without_interval",
            "the exponents come from two widths and have no interval: nothing says how sure they are; calibrate at a "
            "third width",
        )
    elif (
        intervals
        and not shifted
        and all(
            interval is not None and interval[0] <= theory[role] <= interval[1] for role, interval in intervals.items()
        )
    ):
        yield Caution(
            "measured_agrees_with_theory",
            "the intervals of the measured exponents contain theory's: the measurement does not tell the two apart, "
            "and where they differ here the difference may be noise",
        )


def shift_cautions(shift: float, widths: tuple[int, int] | None) -> Iterator[Caution]:
    """A measured finite-width shift that nothing could be done with."""
    if shift and widths is None:
        yield Caution(
            "shift_not_applied",
            f"the calibration found a finite-width shift of {shift:.4g}/n octaves, and neither the widths nor a hidden "
            "tensor that grows say what n is: learning rates go without it; give base.width and target.width",
        )


def widths_of_model(base: Base, target: Target, placements: Sequence[Placement]) -> tuple[int, int] | None:
    """Width of base and target: as given, else the narrowest fan-in that changes among the hidden tensors."""
    if base.width is not None and target.width is not None:
        return base.width, target.width
    hidden = [p.fans for p in placements if p.role is Role.HIDDEN and p.fans.base_in != p.fans.target_in]
    if not hidden:
        return None
    narrowest = min(hidden, key=lambda fans: fans.base_in)
    return narrowest.base_in, narrowest.target_in


def _width_ratios(placement: Placement) -> tuple[float, ...]:
    """Growth of the fans that are widths; a table's entries and a head's outputs are not."""
    role, fans = placement.role, placement.fans
    if role is Role.HIDDEN:
        return fans.ratio_in, fans.ratio_out
    if role is Role.READOUT:
        return (fans.ratio_in,)
    return () if role is Role.SCALAR else (fans.ratio_out,)


def _on_ratios(ratios: set[float]) -> Iterator[Caution]:
    if ratios and max(ratios) > EXTRAPOLATION_RATIO:
        yield Caution(
            "extrapolation",
            f"a width grows ×{max(ratios):.4g}, beyond ×{EXTRAPOLATION_RATIO}: an error of 0.05 in an exponent changes "
            f"its multiplier by {max(ratios) ** 0.05 - 1:.0%}; tune or calibrate at a width in between",
        )
    if ratios and min(ratios) < 1:
        yield Caution(
            "target_smaller",
            f"a width shrinks (×{min(ratios):.4g}): transfers are tested upwards; check that base and target are "
            "not exchanged",
        )


def _on_base_width(widths: tuple[int, int] | None) -> Iterator[Caution]:
    if widths is not None and widths[0] < SMALL_BASE_WIDTH and widths[0] != widths[1]:
        yield Caution(
            "small_base_width",
            f"the base width {widths[0]} is under {SMALL_BASE_WIDTH}: there the optimum still shifts with 1/width, "
            "which the exponents do not hold (Everett et al. 2024 left such widths out of their fits)",
        )


def _on_heads(base: Base, target: Target) -> Iterator[Caution]:
    if base.head_dim is None and target.head_dim is None:
        return
    dims = [d for d in (base.head_dim, target.head_dim) if d is not None]
    if min(dims) < SMALL_HEAD_DIM:
        yield Caution(
            "small_head_dim",
            f"head dim {min(dims)} is under {SMALL_HEAD_DIM}: proxies with such heads failed to transfer (muGPT)",
        )


def _on_output(
    parameterization: Parameterization,
    alignment: Alignment,
    stated: tuple[int | None, int | None],
    placements: Sequence[Placement],
) -> Iterator[Caution]:
    outputs = [p.fans.target_out for p in placements if p.role is Role.READOUT]
    outputs += [d for d in stated if d is not None]
    # the alignment last: comparing fractions takes longer than all the rest
    if outputs and min(outputs) <= SMALL_OUTPUT and _sp_with_full_alignment(parameterization, alignment):
        yield Caution(
            "small_output_dimension",
            f"output dimension {min(outputs)} with {parameterization.value!r} and full alignment: the logits can "
            "diverge slowly with width (Haas et al. 2025, 2505.22491); prefer 'mup', a zero-initialised readout, or "
            "readout_omega 1",
        )


def _sp_with_full_alignment(parameterization: Parameterization, alignment: Alignment) -> bool:
    aligned = alignment.readout.p == 1 and alignment.readout.omega < 1
    return aligned and not is_feature_scaled(parameterization)


def _on_placements(
    tensors: Sequence[Tensor], placements: Sequence[Placement], distinct: Sequence[Placement], stated: float | None
) -> Iterator[Caution]:
    # Names are gathered only where some placement calls for it: a large model has tens of thousands of them.
    def names(of: Callable[[Placement], bool]) -> list[str]:
        return [tensor.name for tensor, p in zip(tensors, placements, strict=True) if of(p)]

    if any(_inferred_readout(p) for p in distinct):
        inferred = [
            tensor.name
            for tensor, p in zip(tensors, placements, strict=True)
            if _inferred_readout(p) and tensor.tied_to is None
        ]
        if inferred and len(names(lambda p: p.role is Role.READOUT)) > 1:
            yield Caution(
                "several_readouts",
                f"{_list(inferred)}: placed as readouts because only their fan-in grows, and the model has others; "
                "give role 'hidden' to keys, values or routers of constant width, which have no forward multiplier",
            )
    unmatched = _unmatched(distinct)
    if unmatched:
        yield Caution(
            "unmatched_growth",
            f"{_list(names(lambda p: p in unmatched))}: placed as hidden by the layout, but one axis grows by a ratio "
            "that no other tensor passes on; if that axis counts layers, positions or vocabulary entries, give role "
            "or fan axes",
        )
    ratios = [ratio for p in distinct for ratio in _width_ratios(p)]
    if stated is not None and ratios and stated not in ratios:
        yield Caution(
            "width_mismatch",
            f"base.width and target.width say ×{stated:.6g}, and no tensor grows by that: the roles' values follow "
            "the widths, the tensors' values their own shapes",
        )
    if any(p.stack_changes for p in distinct):
        yield Caution(
            "stack_changes",
            f"{_list(names(lambda p: p.stack_changes))}: an axis that is neither fan-in nor fan-out changes (layers or "
            "experts?); no width rule covers that change",
        )


def _unmatched(distinct: Sequence[Placement]) -> set[Placement]:
    """Matrices placed by layout whose growth nothing else shares.

    A width is the fan-out of some tensor and the fan-in of another.  Layers of a stacked gain, positions and padded
    vocabularies are not; in a matrix whose two axes grow alike they could not be told apart, and do not matter.
    """
    hidden = [p for p in distinct if p.role is Role.HIDDEN]
    produced = {p.fans.ratio_out for p in distinct if p.role in (Role.HIDDEN, Role.EMBEDDING)}
    consumed = {p.fans.ratio_in for p in distinct if p.role in (Role.HIDDEN, Role.READOUT)}
    return {
        p
        for p in hidden
        if p.by_layout
        and len(hidden) > 1
        and p.fans.ratio_in != p.fans.ratio_out
        and not (p.fans.ratio_in in produced and p.fans.ratio_out in consumed)
    }


def _inferred_readout(placement: Placement) -> bool:
    return placement.role is Role.READOUT and not placement.declared


_SIZES = {
    "depth": ("depth_changed", "number of blocks"),
    "batch_tokens": ("batch_changed", "batch size in tokens"),
    "tokens": ("horizon_changed", "number of training tokens"),
    "head_dim": ("head_dim_changed", "head dim"),
}


def _on_other_sizes(base: Base, target: Target) -> Iterator[Caution]:
    for name in changed_sizes(base, target):
        code, words = _SIZES[name]
        yield Caution(
            code,
            f"the {words} changes from {getattr(base, name)} to {getattr(target, name)}: this plan transfers over "
            "width alone and leaves that change uncorrected",
        )


def _on_epsilon(
    base: Base, target: Target, g: Mapping[Role, float], widths: tuple[int, int] | None, power: int
) -> Iterator[Caution]:
    """Compare epsilon with the gradient RMS expected at the target: measured × m^(−g), or n^(−g)/√batch.

    The second is an order of magnitude only.  It puts the mean-field hidden layers of Everett et al. 2024 at 1e-8 for
    width 4096, where ε = 1e-9 was seen to start costing loss.  `power` is 2 where epsilon adds to g² (Adafactor).
    """
    if widths is None or base.epsilon is None:
        return
    base_width, target_width = widths
    growth = target_width / base_width
    noise = (target.batch_tokens or base.batch_tokens or NOMINAL_BATCH_TOKENS) ** -0.5
    worst: tuple[float, Role, float, float] | None = None
    smallest = math.inf
    for role in (Role.EMBEDDING, Role.HIDDEN, Role.READOUT):
        epsilon = by_role(base.epsilon, role)
        if not epsilon:
            continue
        scale = growth ** -g[role]
        smallest = min(smallest, epsilon, epsilon * scale**power)
        measured = by_role(base.gradient_rms, role)
        expected = target_width ** -g[role] * noise if measured is None else measured * scale
        excess = epsilon ** (1 / power) / expected
        if excess * NEAR > 1 and (worst is None or excess > worst[0]):
            worst = (excess, role, epsilon, expected)
    if worst is not None:
        _, role, epsilon, expected = worst
        source = "measured at the base" if by_role(base.gradient_rms, role) is not None else "estimated, not measured"
        squared = ", to whose square it is added" if power == 2 else ""
        yield Caution(
            "epsilon_near_gradient",
            f"epsilon {epsilon:.3g} is near or above the gradient RMS of about {expected:.2g} expected in the "
            f"{role.value} layers at the target ({source}){squared}: a constant epsilon stalls them; use the plan's "
            "epsilons, a smaller base epsilon, or adam_atan2, which has none",
        )
    if smallest < SMALLEST_EPSILON[power]:
        yield Caution(
            "epsilon_underflow",
            f"epsilon {smallest:.3g}, at the base or at the target, is under {SMALLEST_EPSILON[power]:g}: float32 "
            "flushes such squared gradients to zero, and then nothing bounds the step (Everett et al. 2024 saw 1e-25 "
            "harm every parameterization under Adam)",
        )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
