"""Warnings of a transfer: where a plan leaves what theory and published measurements cover."""

from collections.abc import Iterator, Mapping, Sequence

from widthwise.alignment import Alignment
from widthwise.model import Base, Target, by_role, changed_sizes
from widthwise.parameterization import is_feature_scaled
from widthwise.plan import Caution
from widthwise.tensors import Placement, Tensor
from widthwise.vocabulary import Parameterization, Role

EXTRAPOLATION_RATIO = 16  # chosen: the paper's fits span ×16 above the widths that it had to exclude
SMALL_BASE_WIDTH = 512  # Everett et al. 2024, figure 1: widths ≤ 512 left the power law
SMALL_HEAD_DIM = 64  # muGPT: proxies with head dim < 64 failed to transfer
SMALL_OUTPUT = 64  # chosen between 10 outputs (drifts) and 256 (transfers), both measured; Haas et al. 2505.22491
NEAR = 10  # chosen: at ε = RMS(grad)/10 Adam's step is already 9 % short
NOMINAL_BATCH_TOKENS = 2**17  # Everett et al. 2024: 256 sequences of 512 tokens
SMALLEST_SQUARED = 1e-19  # float32 flushes v = g² to zero below |g| of about this


def cautions(
    *,
    parameterization: Parameterization,
    alignment: Alignment,
    base: Base,
    target: Target,
    tensors: Sequence[Tensor],
    placements: Sequence[Placement],
    g: Mapping[Role, float],
    has_epsilon: bool,
) -> tuple[Caution, ...]:
    """Every warning that applies, in a fixed order."""
    distinct = list({id(p): p for p in placements}.values())  # few, however many tensors repeat them
    ratios = {ratio for p in distinct for ratio in (p.fans.ratio_in, p.fans.ratio_out) if p.role is not Role.SCALAR}
    widths = _widths(base, target, distinct)
    if base.width is not None and target.width is not None:
        ratios.add(target.width / base.width)
    return (
        *_on_ratios(ratios),
        *_on_base_width(widths),
        *_on_heads(base, target),
        *_on_output(parameterization, alignment, (base.output_dimension, target.output_dimension), distinct),
        *_on_placements(tensors, placements, distinct),
        *_on_other_sizes(base, target),
        *(_on_epsilon(base, target, g, widths) if has_epsilon else ()),
    )


def _widths(base: Base, target: Target, placements: Sequence[Placement]) -> tuple[int, int] | None:
    """Width of base and target: as given, else the narrowest fan-in of the hidden tensors."""
    if base.width is not None and target.width is not None:
        return base.width, target.width
    hidden = [p.fans for p in placements if p.role is Role.HIDDEN]
    if not hidden:
        return None
    narrowest = min(hidden, key=lambda fans: fans.base_in)
    return narrowest.base_in, narrowest.target_in


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
    if not _sp_with_full_alignment(parameterization, alignment):
        return
    outputs = [p.fans.target_out for p in placements if p.role is Role.READOUT and p.fans.target_out > 1]
    outputs += [d for d in stated if d is not None]
    if outputs and min(outputs) <= SMALL_OUTPUT:
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
    tensors: Sequence[Tensor], placements: Sequence[Placement], distinct: Sequence[Placement]
) -> Iterator[Caution]:
    # Names are gathered only where some placement calls for it: a large model has tens of thousands of them.
    if any(_inferred_readout(p) for p in distinct):
        readouts = [
            tensor.name
            for tensor, p in zip(tensors, placements, strict=True)
            if _inferred_readout(p) and tensor.tied_to is None
        ]
        if len(readouts) > 1:
            yield Caution(
                "several_readouts",
                f"{_list(readouts)}: placed as readouts because only their fan-in grows; give role 'hidden' to keys, "
                "values or routers of constant width",
            )
    if any(p.stack_changes for p in distinct):
        stacks = [tensor.name for tensor, p in zip(tensors, placements, strict=True) if p.stack_changes]
        yield Caution(
            "stack_changes",
            f"{_list(stacks)}: an axis that is neither fan-in nor fan-out changes (layers or experts?); no width rule "
            "covers that change",
        )


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
    base: Base, target: Target, g: Mapping[Role, float], widths: tuple[int, int] | None
) -> Iterator[Caution]:
    """Compare epsilon with the gradient RMS expected at the target: measured × m^(−g), or n^(−g)/√batch.

    The second is an order of magnitude only.  It puts the mean-field hidden layers of Everett et al. 2024 at 1e-8 for
    width 4096, where ε = 1e-9 was seen to start costing loss.
    """
    if widths is None:
        return
    base_width, target_width = widths
    if base.epsilon is None:
        return
    noise = (target.batch_tokens or base.batch_tokens or NOMINAL_BATCH_TOKENS) ** -0.5
    worst: tuple[float, Role, float, float] | None = None
    for role in (Role.EMBEDDING, Role.HIDDEN, Role.READOUT):
        epsilon = by_role(base.epsilon, role)
        if not epsilon:
            continue
        measured = by_role(base.gradient_rms, role)
        if measured is not None:
            expected = measured * (target_width / base_width) ** -g[role]
        else:
            expected = target_width ** -g[role] * noise
        if epsilon * NEAR > expected and (worst is None or epsilon / expected > worst[0]):
            worst = (epsilon / expected, role, epsilon, expected)
    if worst is not None:
        _, role, epsilon, expected = worst
        source = "measured at the base" if by_role(base.gradient_rms, role) is not None else "estimated, not measured"
        yield Caution(
            "epsilon_near_gradient",
            f"epsilon {epsilon:.3g} is near or above the gradient RMS of about {expected:.2g} expected in the "
            f"{role.value} layers at the target ({source}): a constant epsilon stalls them; use the plan's epsilons, a "
            "smaller base epsilon (1e-12 to 1e-15 is safe), or adam_atan2, which has none",
        )
    epsilons = (by_role(base.epsilon, role) for role in (Role.EMBEDDING, Role.HIDDEN, Role.READOUT))
    too_small = [epsilon for epsilon in epsilons if epsilon is not None and 0 < epsilon < SMALLEST_SQUARED]
    if too_small:
        yield Caution(
            "epsilon_underflow",
            f"epsilon {min(too_small):.3g} is under {SMALLEST_SQUARED:g}: where float32 flushes the squared "
            "gradient to zero nothing bounds the step (Everett et al. 2024 saw 1e-25 harm every parameterization)",
        )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
