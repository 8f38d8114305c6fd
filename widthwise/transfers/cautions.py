"""Warnings of a transfer: where a plan leaves what theory and published measurements cover."""

from collections.abc import Callable, Iterator, Sequence

from widthwise.caution import Caution
from widthwise.model import Base, Target, by_role, changed_sizes
from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.schedule import steps_of
from widthwise.rules.contract import stated_widths
from widthwise.tensors.placement import Placement, Tensor
from widthwise.theory.alignment import Alignment
from widthwise.theory.optimizers import OPTIMIZERS, OptimizerRecord, update_scale
from widthwise.theory.parameterization import is_feature_scaled
from widthwise.transfers.model_quantities import attention_factor, code_scale
from widthwise.vocabulary import Optimizer, Parameterization, Role, WeightDecayMode

EXTRAPOLATION_RATIO = 16  # chosen: the paper's fits span ×16 above the widths that it had to exclude
SMALL_BASE_WIDTH = 512  # Everett et al. 2024, figure 1: widths ≤ 512 left the power law
SMALL_HEAD_DIM = 64  # muGPT: proxies with head dim < 64 failed to transfer
SMALL_OUTPUT = 64  # chosen between 10 outputs (drifts) and 256 (transfers), both measured; Haas et al. 2505.22491


def cautions(
    *,
    parameterization: Parameterization,
    alignment: Alignment,
    base: Base,
    target: Target,
    tensors: Sequence[Tensor],
    placements: Sequence[Placement],
    covered: frozenset[str],
    qk_norm: bool = False,
) -> tuple[Caution, ...]:
    """Every warning that no rule gives itself, in a fixed order. covered: the sizes whose change some rule handles."""
    distinct = list({id(p): p for p in placements}.values())  # few, however many tensors repeat them
    ratios = {ratio for p in distinct for ratio in _width_ratios(p)}
    widths = stated_widths(base, target)
    stated = None if widths is None else widths[1] / widths[0]
    if stated is not None:
        ratios.add(stated)
    constant_depth = base.depth if base.depth == target.depth else None
    return (
        *_on_ratios(ratios),
        *_on_base_width(widths),
        *_on_heads(base, target),
        *_on_output(parameterization, alignment, (base.output_dimension, target.output_dimension), distinct),
        *(_on_placements(tensors, placements, distinct, stated, constant_depth) if distinct else ()),
        *_on_stacks(tensors, placements, distinct, covered),
        *_on_other_sizes(base, target, covered),
        *_on_schedule(base, target, covered),
        *_on_head_growth(base, target, qk_norm=qk_norm),
    )


def decay_cautions(optimizer: Optimizer, mode: WeightDecayMode | str | None, base: Base) -> tuple[Caution, ...]:
    """What to know of the decay: which one was taken if implementations differ, and where it acts in another way."""
    record = OPTIMIZERS[optimizer]
    if base.weight_decay is None or not any(by_role(base.weight_decay, role) for role in Role):
        return ()
    return tuple(_on_decay(record, optimizer, mode, base))


def _on_decay(
    record: OptimizerRecord, optimizer: Optimizer, mode: WeightDecayMode | str | None, base: Base
) -> Iterator[Caution]:
    if mode is None and record.decay_elsewhere:
        taken = record.weight_decay_mode
        yield Caution(
            "decay_assumed",
            f"weight decay is taken as {taken.value!r}, {taken.meaning}, the default weight_decay_mode of "
            f"{optimizer.value!r}; {record.decay_elsewhere}",
        )
    if record.decay_point:
        yield Caution(
            "decay_at_another_point",
            f"the decay of {record.label} {record.decay_point}: λ is transferred within this optimizer, as that of its "
            "inner one, and is not the λ of AdamW; tune it at the base",
        )
    kept = [role for role in Role if by_role(base.weight_decay, role) and update_scale(optimizer, role).keeps_norm]
    if kept:
        yield Caution(
            "decay_without_effect",
            f"{record.label} projects {', '.join(role.value for role in kept)} weights back to the norm of their init: "
            "decay does nothing there; leave it out, or give it by role",
        )


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
    tensors: Sequence[Tensor],
    placements: Sequence[Placement],
    distinct: Sequence[Placement],
    stated: float | None,
    constant_depth: int | None,
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
    ratios = [ratio for p in distinct for ratio in _width_ratios(p)]
    if stated is not None and ratios and stated not in ratios:
        yield Caution(
            "width_mismatch",
            f"base.width and target.width say ×{stated:.6g}, and no tensor grows by that: the roles' values follow "
            "the widths, the tensors' values their own shapes",
        )
    if any(map(_grows, distinct)) and any(map(_is_constant_matrix, distinct)):
        yield Caution(
            "constant_matrices",
            f"{_list(names(_is_constant_matrix))}: these matrices do not grow while the model does, so their numbers "
            "stay as they are; check that none was forgotten, and give role to one that is an embedding or a readout",
        )
    if any(p.role is Role.EMBEDDING for p in distinct) and all(p.role is not Role.READOUT for p in distinct):
        yield Caution(
            "no_readout",
            "the tensors embed and none reads out: is the head tied? PyTorch's named_parameters() lists a tied weight "
            "once; list the head too, with tied_to, since the tie changes the plan",
        )
    if any(p.unmatched for p in distinct):
        yield Caution(
            "unmatched_growth",
            f"{_list(names(lambda p: p.unmatched))}: placed as hidden by the layout, but the first axis is a width "
            "nowhere else; if it is not the last layer's but counts positions or table entries, or stacks gains, give "
            "role or fan axes",
        )
    if any(p.stacked_by_depth for p in distinct) and constant_depth is not None:
        yield Caution(
            "stacked_by_depth",
            f"{_list(names(lambda p: p.stacked_by_depth))}: an axis of {constant_depth} counts as a stack of layers, "
            "since the stated depth is that number; give role or fan axes if it is something else",
        )


def _on_stacks(
    tensors: Sequence[Tensor], placements: Sequence[Placement], distinct: Sequence[Placement], covered: frozenset[str]
) -> Iterator[Caution]:
    if not any(p.stack_changes for p in distinct):
        return
    stacks = [
        tensor.name
        for tensor, p in zip(tensors, placements, strict=True)
        if p.stack_changes and not (tensor.part is not None and "experts" in covered)
    ]
    if stacks:
        yield Caution(
            "stack_changes",
            f"{_list(stacks)}: an axis that is neither fan-in nor fan-out changes (layers or experts?); no width rule "
            "covers that change",
        )


def _grows(placement: Placement) -> bool:
    return any(ratio != 1 for ratio in _width_ratios(placement))


def _is_constant_matrix(placement: Placement) -> bool:
    fans = placement.fans
    is_matrix = placement.role in (Role.EMBEDDING, Role.HIDDEN, Role.READOUT)
    return is_matrix and fans.base_in == fans.target_in and fans.base_out == fans.target_out


def _inferred_readout(placement: Placement) -> bool:
    return placement.role is Role.READOUT and not placement.declared


def _on_schedule(base: Base, target: Target, covered: frozenset[str]) -> Iterator[Caution]:
    before, after = steps_of(base), steps_of(target)
    has_schedule = any(value is not None for value in (base.warmup_steps, base.cooldown_steps, base.cooldown_share))
    if "schedule" not in covered and has_schedule and before and after and before != after:
        yield Caution(
            "schedule_changed",
            f"the number of steps changes from {before} to {after}, and nothing says what warm-up and cooldown do: "
            "name one of rules.schedule (docs/rules.md)",
        )


_SIZES = {
    "depth": ("depth_changed", "number of blocks", About.DEPTH),
    "batch_tokens": ("batch_changed", "batch size in tokens", About.BATCH),
    "tokens": ("horizon_changed", "number of training tokens", About.TOKENS),
    "experts": ("experts_changed", "number of experts", About.EXPERTS),
    "rank": ("rank_changed", "rank of the adapters", About.RANK),
    "shared_experts": ("shared_experts_changed", "number of shared experts", About.EXPERTS),
}


def _on_other_sizes(base: Base, target: Target, covered: frozenset[str]) -> Iterator[Caution]:
    for name in changed_sizes(base, target):
        if name in covered or name not in _SIZES:  # the head dim is worded separately
            continue
        code, words, about = _SIZES[name]
        yield Caution(
            code,
            f"the {words} changes from {getattr(base, name)} to {getattr(target, name)}, and this plan leaves that "
            f"uncorrected: name one of rules.{about.value} (docs/rules.md)",
        )


def _on_head_growth(base: Base, target: Target, *, qk_norm: bool) -> Iterator[Caution]:
    if base.head_dim is None or target.head_dim is None or base.head_dim == target.head_dim:
        return
    factor = attention_factor(base, target)
    if qk_norm:
        scale = "normalised queries and keys keep the attention scale that they have"
    elif base.attention_scale is None and target.attention_scale is None:
        scale = (
            f"the attention scale becomes √{base.head_dim}/{target.head_dim}, ×{factor:.4g} next to 1/√d_head "
            "(the plan's model.attention_scale); code that keeps 1/√d_head needs that factor"
        )
    else:
        scale = (
            f"the attention scale needs ×{factor:.4g} next to what the code multiplies by "
            f"({code_scale(target):g}; the plan's model.attention_scale)"
        )
    yield Caution("head_dim_changed", f"the head dim changes from {base.head_dim} to {target.head_dim}: {scale}")


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
