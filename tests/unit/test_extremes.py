"""Every number of a transfer at its smallest and its largest: a finite plan or a refusal, never another error."""

import json
from dataclasses import fields
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise import Base, InvalidInputError, Optimizer, Parameterization, Target, Tensor, WeightDecayMode, transfer
from widthwise.model import MAX_COUNT, MAX_VALUE, MAX_WIDTH, Size
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.rules.exponents import Exponents
from widthwise.tensors.multipliers import MAX_POWER, ComputedMultiplier, Fan
from widthwise.vocabulary import TensorPart

SMALLEST = 5e-324  # the smallest double above 0
numbers = st.sampled_from([SMALLEST, 1e-308, 1e-162, 1e-100, 1e-8, 1.0, 1e50, MAX_VALUE])
sizes = st.sampled_from([1, 2, 64, 4096, MAX_WIDTH])
counts = st.sampled_from([1, 4096, MAX_COUNT])
powers = st.sampled_from([-MAX_POWER, -0.5, SMALLEST, 1.0, MAX_POWER])
shifts = st.sampled_from([0.0, SMALLEST, -SMALLEST, 64.0, MAX_VALUE])
_SIZE = {
    **dict.fromkeys(("width", "depth", "head_dim", "output_dimension"), sizes),
    **dict.fromkeys(("batch_tokens", "tokens", "parameters", "steps"), counts),
    "experts": sizes,
    "active_experts": st.just(1),  # at most as many
    "shared_experts": st.sampled_from([0, 1, MAX_WIDTH]),
    "rank": sizes,
    **dict.fromkeys(("attention_scale", "lora_alpha"), numbers),
}
_SCHEDULE = {
    **dict.fromkeys(("warmup_steps", "cooldown_steps"), st.sampled_from([0, 4096, MAX_COUNT])),
    "cooldown_share": st.none(),  # or cooldown_steps
}
_BETAS = {"beta1", "beta2"}
_VALUES = {each.name for each in fields(Base)} - set(_SIZE) - {"gamma", "learning_rate"} - _BETAS - set(_SCHEDULE)


End = TypeVar("End", bound=Size)


def ends(kind: type[End], **more: Any) -> st.SearchStrategy[End]:
    given_sizes = {name: st.none() | values for name, values in _SIZE.items() if name != "width"}
    return st.builds(kind, **(given_sizes | {"width": sizes} | more))


gammas = st.none() | st.dictionaries(st.sampled_from(["hidden", "readout", "embedding"]), numbers, min_size=1)
values = {name: st.none() | numbers for name in sorted(_VALUES)}
betas = {name: st.none() | st.sampled_from([0.0, SMALLEST, 0.5, 1 - 2**-53]) for name in sorted(_BETAS)}
schedules = {name: st.none() | number for name, number in _SCHEDULE.items()}
matrices = st.builds(
    Tensor,
    st.just("w"),
    st.tuples(sizes, sizes),
    st.tuples(sizes, sizes),
    role=st.sampled_from(["hidden", "readout", "embedding"]),
    in_block=st.booleans(),
    part=st.none() | st.sampled_from(TensorPart),
)
parameters = {"surge": {"noise_scale": 1}, "horizon": {"exponent": -1}}
rules = st.fixed_dictionaries(
    {},
    optional={
        about.value: st.sampled_from([{"rule": word, **parameters.get(word, {})} for word in words])
        for about, words in BY_WORD.items()
    },
)
computed = st.builds(ComputedMultiplier, power=powers, of=st.sampled_from(Fan), tensors=st.just(("w",)))
measured = st.builds(Exponents, learning_rate=st.just({"hidden": 1.0}), shift=shifts)


@given(
    words=st.tuples(st.sampled_from(Parameterization), st.sampled_from(Optimizer)),
    mode=st.none() | st.sampled_from(WeightDecayMode),
    base=ends(Base, gamma=gammas, **values, **betas, **schedules, learning_rate=numbers),
    target=ends(Target),
    tensor=st.none() | matrices,
    multiplier=st.none() | computed,
    exponents=st.none() | measured,
    rules=rules,
)
@settings(max_examples=200, deadline=None)
def test_any_number_is_answered_or_refused(
    *,
    words: tuple[Parameterization, Optimizer],
    mode: WeightDecayMode | None,
    base: Base,
    target: Target,
    tensor: Tensor | None,
    multiplier: ComputedMultiplier | None,
    exponents: Exponents | None,
    rules: dict[str, Any],
) -> None:
    try:
        plan = transfer(
            parameterization=words[0],
            optimizer=words[1],
            weight_decay_mode=mode,
            base=base,
            target=target,
            tensors=[] if tensor is None else [tensor],
            layout="out_in",
            exponents=exponents,
            code_multipliers=[] if tensor is None or multiplier is None else [multiplier],
            rules=rules,
        )
    except InvalidInputError:
        return
    json.dumps(plan.to_dict(), allow_nan=False)
