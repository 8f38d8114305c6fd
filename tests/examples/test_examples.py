"""Real models through the library: the committed examples, and the properties that hold for any list of tensors."""

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import make_shapes
from tests.examples.bodies import DIRECTORY, NAMES, SETTINGS, body, numbers, plan, tensors, with_axes
from widthwise import Plan, Quantity, Tensor, TensorPlan, UnplacedTensorsError
from widthwise.vocabulary import QUANTITIES, Role

quick = settings(max_examples=6, deadline=None)  # each example is a plan of several hundred tensors
a_name = st.sampled_from(NAMES)
a_setting = st.sampled_from(SETTINGS)


def multiplier(planned: Plan, name: str, quantity: str = "learning_rate") -> float:
    found: float = getattr(planned.tensor(name), quantity).multiplier
    return found


def hyperparameters(tensor: TensorPlan) -> list[Quantity | None]:
    return [getattr(tensor, quantity) for quantity in QUANTITIES]


def part(name: str) -> str:
    """The module of a parameter: its name without what stands before it and without weight or bias."""
    return name.removesuffix(".weight").removesuffix(".bias").rsplit(".", 1)[-1]


# The files


@pytest.mark.parametrize("name", NAMES)
def test_committed_files_are_what_the_script_writes(name: str) -> None:
    assert (DIRECTORY / f"{name}.json").read_text(encoding="utf-8") == make_shapes.render(make_shapes.EXAMPLES[name]())


def test_every_example_is_committed_explained_and_tested() -> None:
    readme = (DIRECTORY / "README.md").read_text(encoding="utf-8")
    assert {path.stem for path in DIRECTORY.glob("*.json")} == set(NAMES) == set(make_shapes.EXAMPLES)
    assert [name for name in NAMES if f"widthwise transfer examples/{name}.json" not in readme] == []


@pytest.mark.parametrize(("model", "published"), make_shapes.PUBLISHED.items())
def test_shapes_add_up_to_the_published_parameter_count(model: make_shapes.Model, published: int) -> None:
    assert make_shapes.count(model) == published


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_is_placed_and_has_finite_positive_numbers(name: str) -> None:
    planned, listed = plan(name), tensors(name)
    assert [t.name for t in planned.tensors] == [t.name for t in listed]
    for tensor in planned.tensors:
        assert tensor.learning_rate.value is not None
        for quantity in QUANTITIES:
            assert math.isfinite(getattr(tensor, quantity).multiplier)
            assert getattr(tensor, quantity).multiplier > 0


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("gpt2_small_to_xl", {"depth_changed"}),
        ("llama_pair", {"depth_changed", "head_dim_changed"}),
        ("llama_constant_kv_pair", {"depth_changed", "epsilon_near_gradient"}),
        ("moe_pair", {"depth_changed"}),
        ("vit_pair", {"depth_changed", "small_base_width"}),
    ],
)
def test_warnings_are_those_that_the_readme_explains(name: str, codes: set[str]) -> None:
    assert {warning.code for warning in plan(name).warnings} == codes


# GPT-2: Conv1D is (in, out), query, key and value are fused, the head is tied

BLOCK = "transformer.h.7"


def test_gpt2_conv1d_weights_take_their_first_axis_as_fan_in() -> None:
    planned = plan("gpt2_small_to_xl")
    fans = {
        part: (planned.tensor(f"{BLOCK}.{part}.weight").fan_in, planned.tensor(f"{BLOCK}.{part}.weight").fan_out)
        for part in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    }
    assert fans == {
        "attn.c_attn": (1600, 4800),
        "attn.c_proj": (1600, 1600),
        "mlp.c_fc": (1600, 6400),
        "mlp.c_proj": (6400, 1600),
    }
    assert {multiplier(planned, f"{BLOCK}.{part}.weight") for part in fans} == {768 / 1600}


def test_gpt2_with_a_wider_feed_forward_follows_fan_in_not_the_last_axis() -> None:
    """With width ×4 and feed-forward ×8 the up-projection is divided by 4; mup's last axis would say 8."""
    up, down = Tensor("up", (64, 128), (256, 1024)), Tensor("down", (128, 64), (1024, 256))
    planned = plan("gpt2_small_to_xl", tensors=[up, down])
    assert (multiplier(planned, "up"), multiplier(planned, "down")) == (1 / 4, 1 / 8)


def test_gpt2_tied_pair_has_one_learning_rate_epsilon_init_and_decay() -> None:
    for words in SETTINGS:
        planned = plan("gpt2_small_to_xl", **words)
        table, head = planned.tensor("transformer.wte.weight"), planned.tensor("lm_head.weight")
        assert (table.role, head.role, head.tied_to) == (Role.EMBEDDING, Role.READOUT, table.name)
        # One tensor is trained once; only what multiplies its output may differ between its two uses.
        for quantity in ("learning_rate", "epsilon", "init_std", "weight_decay", "gradient_rms"):
            ours, theirs = getattr(table, quantity), getattr(head, quantity)
            assert (ours is None) == (theirs is None), (words, quantity)
            if ours is not None:
                assert ours.multiplier == pytest.approx(theirs.multiplier, rel=1e-12), (words, quantity)
                assert (ours.value is None and theirs.value is None) or ours.value == pytest.approx(theirs.value)


# Llama: grouped key/values, SwiGLU


def test_llama_key_values_are_hidden_whether_their_width_grows_or_not() -> None:
    for name, ratio_out in (("llama_pair", 2), ("llama_constant_kv_pair", 1)):
        planned, listed = plan(name), {t.name: t for t in tensors(name)}
        for part in ("k_proj", "v_proj"):
            tensor = planned.tensor(f"model.layers.3.self_attn.{part}.weight")
            assert tensor.fan_out / listed[tensor.name].base_shape[0] == ratio_out
            assert (tensor.role, tensor.learning_rate.multiplier) == (Role.HIDDEN, 1 / 2)


def test_llama_70b_gets_the_learning_rate_that_meta_published() -> None:
    """The 8B was trained at 3e-4 and the 70B at 1.5e-4 (2407.21783, table 3)."""
    planned = plan("llama_constant_kv_pair")
    assert {t.learning_rate.value for t in planned.tensors if t.role is Role.HIDDEN} == {1.5e-4}


def test_llama_feed_forward_follows_its_own_ratio() -> None:
    """Width ×2 but feed-forward ×1.75: one ratio for the whole model would get the down-projection wrong."""
    planned = plan("llama_pair")
    assert multiplier(planned, "model.layers.0.mlp.gate_proj.weight") == 1 / 2
    assert multiplier(planned, "model.layers.0.mlp.up_proj.weight") == 1 / 2
    assert multiplier(planned, "model.layers.0.mlp.down_proj.weight") == 8192 / 14336
    assert multiplier(planned, "model.layers.0.mlp.down_proj.weight", "init_std") == pytest.approx(
        math.sqrt(8192 / 14336), rel=1e-12
    )


@pytest.mark.parametrize("name", ["llama_pair", "llama_constant_kv_pair", "moe_pair"])
def test_gains_keep_their_learning_rate(name: str) -> None:
    gains = [t for t in plan(name).tensors if t.role is Role.VECTOR]
    assert {part(t.name) for t in gains} == {"input_layernorm", "post_attention_layernorm", "norm"}
    assert {t.learning_rate.multiplier for t in gains} == {1.0}


# Mixture of experts: fused 3-D experts, a router


def test_experts_follow_their_fan_axes_and_not_the_number_of_experts() -> None:
    planned = plan("moe_pair")
    up, down = (planned.tensor(f"model.layers.0.mlp.experts.{part}_proj") for part in ("gate_up", "down"))
    assert (up.role, up.fan_in, up.fan_out) == (Role.HIDDEN, 6144, 32768)
    assert (down.role, down.fan_in, down.fan_out) == (Role.HIDDEN, 16384, 6144)
    assert up.learning_rate.multiplier == 4096 / 6144
    assert down.learning_rate.multiplier == 14336 / 16384


def test_the_router_is_hidden_and_a_readout_would_train_alike() -> None:
    """Its fan-out is the 8 experts at both ends.  As a readout it gets one effective learning rate, init and decay."""
    listed = tensors("moe_pair")
    as_readout = [replace(t, role="readout") if t.name.endswith("mlp.gate.weight") else t for t in listed]
    name = "model.layers.0.mlp.gate.weight"
    for words in (w for w in SETTINGS if w["optimizer"] in ("adam", "adamw", "adam_atan2")):
        hidden, readout = (plan("moe_pair", tensors=t, **words).tensor(name) for t in (listed, as_readout))
        # Adam moves an output by multiplier × learning rate × fan-in, and starts it at multiplier × init × √fan-in.
        for quantity in ("learning_rate", "init_std"):
            effective = [t.forward_multiplier.multiplier * getattr(t, quantity).multiplier for t in (hidden, readout)]
            assert effective[0] == pytest.approx(effective[1], rel=1e-12), (words, quantity)
    codes = {w.code for w in plan("moe_pair", tensors=as_readout).warnings}
    assert "small_output_dimension" in codes - {w.code for w in plan("moe_pair").warnings}


# ViT: convolution, class token, positions, fused qkv, classifier


def test_vit_tensors_are_placed_by_their_axes() -> None:
    planned = plan("vit_pair")
    expected = {
        "patch_embed.proj.weight": (Role.EMBEDDING, 3 * 16 * 16, 1024),
        "cls_token": (Role.VECTOR, 1, 1024),
        "pos_embed": (Role.EMBEDDING, 197, 1024),
        "blocks.0.attn.qkv.weight": (Role.HIDDEN, 1024, 3072),
        "blocks.0.attn.qkv.bias": (Role.VECTOR, 1, 3072),
        "blocks.0.norm1.weight": (Role.VECTOR, 1, 1024),
        "head.weight": (Role.READOUT, 1024, 1000),
        "head.bias": (Role.SCALAR, 1, 1000),
    }
    for name, (role, fan_in, fan_out) in expected.items():
        tensor = planned.tensor(name)
        assert (tensor.role, tensor.fan_in, tensor.fan_out) == (role, fan_in, fan_out), name
        grows = 384 / 1024 if role in (Role.HIDDEN, Role.READOUT) else 1.0
        assert tensor.learning_rate.multiplier == grows, name
        assert tensor.forward_multiplier.multiplier == 1.0, name  # the form of Table 3 has none
    assert multiplier(planned, "head.weight", "init_std") == 384 / 1024  # variance 1/n²


# What a change of the model may and may not change


WIDER: dict[str, tuple[make_shapes.Model, make_shapes.Model, dict[str, Any], set[str]]] = {
    "llama_pair": (make_shapes.LLAMA_1B, make_shapes.LLAMA_8B, {"ffn": 20480}, {"gate_proj", "up_proj", "down_proj"}),
    "moe_pair": (make_shapes.MIXTRAL_8X7B, make_shapes.MIXTRAL_8X22B, {"ffn": 28672}, {"gate_up_proj", "down_proj"}),
    "vit_pair": (make_shapes.VIT_SMALL, make_shapes.VIT_LARGE, {"mlp": 5120}, {"fc1", "fc2"}),
}


@pytest.mark.parametrize("name", WIDER)
@pytest.mark.parametrize("words", SETTINGS[::7])
def test_a_wider_feed_forward_changes_its_own_tensors_alone(name: str, words: dict[str, Any]) -> None:
    base, target, wider, parts = WIDER[name]
    listed = [Tensor(**t) for t in make_shapes.pair(base, replace(target, **wider))]
    before, after = plan(name, **words), plan(name, tensors=listed, **words)
    changed = {
        a.name for a, b in zip(before.tensors, after.tensors, strict=True) if hyperparameters(a) != hyperparameters(b)
    }
    # every layer's weights; ViT's biases of the same layers follow where the setting asks for it
    touched = {t.name for t in after.tensors if part(t.name) in parts}
    assert {name for name in touched if not name.endswith("bias")} <= changed <= touched


@quick
@given(a_name, a_setting, st.randoms(use_true_random=False))
def test_renaming_and_reordering_change_nothing(name: str, words: dict[str, Any], chance: random.Random) -> None:
    listed = tensors(name)
    renamed = {t.name: f"{chance.choice(['lm_head', 'wte', 'expert', 'Ω'])}.{k}" for k, t in enumerate(listed)}
    shuffled = [
        replace(t, name=renamed[t.name], tied_to=None if t.tied_to is None else renamed[t.tied_to]) for t in listed
    ]
    chance.shuffle(shuffled)
    before, after = plan(name, **words), plan(name, tensors=shuffled, **words)
    by_name = {t.name: numbers(t) for t in after.tensors}
    assert [numbers(t) for t in before.tensors] == [by_name[renamed[t.name]] for t in before.tensors]
    assert [w.code for w in before.warnings] == [w.code for w in after.warnings]


@quick
@given(a_name, a_setting, st.randoms(use_true_random=False))
def test_transposing_with_declared_axes_changes_nothing(
    name: str, words: dict[str, Any], chance: random.Random
) -> None:
    transposed = []
    for tensor in with_axes(tensors(name), body(name)["layout"]):
        order = chance.sample(range(len(tensor.base_shape)), len(tensor.base_shape))
        transposed.append(
            replace(
                tensor,
                base_shape=[tensor.base_shape[axis] for axis in order],
                target_shape=[tensor.target_shape[axis] for axis in order],
                fan_in_axes=[order.index(axis) for axis in tensor.fan_in_axes or ()],
                fan_out_axes=[order.index(axis) - len(order) for axis in tensor.fan_out_axes or ()],
            )
        )
    before, after = plan(name, **words), plan(name, tensors=transposed, layout=None, **words)
    assert [numbers(t) for t in before.tensors] == [numbers(t) for t in after.tensors]


@pytest.mark.parametrize("name", NAMES)
def test_base_as_its_own_target_is_an_exact_no_op(name: str) -> None:
    listed = [replace(t, target_shape=t.base_shape) for t in tensors(name)]
    base = body(name)["base"]
    target = {key: base[key] for key in ("width", "depth", "head_dim")}
    for words in SETTINGS:
        planned = plan(name, tensors=listed, target=target, **words)
        for entry in (*planned.layers, *planned.tensors):
            for quantity in QUANTITIES:
                value = getattr(entry, quantity)
                assert value is None or value.multiplier == 1.0, (words, entry)
        assert {t.learning_rate.value for t in planned.tensors} == {base["learning_rate"]}


@quick
@given(a_name, a_setting, st.floats(0.2, 0.8))
def test_base_to_mid_to_target_composes(name: str, words: dict[str, Any], part: float) -> None:
    # declared, since sizes halfway are rounded: a quarter of the width is then no whole part of it
    listed = [replace(t, role="hidden") if _is_bare_hidden(t) else t for t in tensors(name)]
    ends = [(t.base_shape, t.target_shape) for t in listed]
    mids = [[a + round(part * (b - a)) for a, b in zip(base, target, strict=True)] for base, target in ends]
    whole = plan(name, tensors=listed, **words)
    first = plan(name, tensors=[replace(t, target_shape=m) for t, m in zip(listed, mids, strict=True)], **words)
    second = plan(name, tensors=[replace(t, base_shape=m) for t, m in zip(listed, mids, strict=True)], **words)
    for direct, one, two in zip(whole.tensors, first.tensors, second.tensors, strict=True):
        for quantity in QUANTITIES:
            if getattr(direct, quantity) is not None:
                steps = getattr(one, quantity).multiplier * getattr(two, quantity).multiplier
                assert steps == pytest.approx(getattr(direct, quantity).multiplier, rel=1e-12), (direct.name, quantity)


def _is_bare_hidden(tensor: Tensor) -> bool:
    changed = sum(base != target for base, target in zip(tensor.base_shape, tensor.target_shape, strict=True))
    return tensor.role is None and tensor.fan_in_axes is None and changed == 2


# What must be declared


def _declared() -> list[tuple[str, str]]:
    """One tensor of each kind that declares a role or axes, in every example."""
    kinds: dict[tuple[object, ...], tuple[str, str]] = {}
    for name in NAMES:
        for tensor in tensors(name):
            if tensor.role is not None or tensor.fan_in_axes is not None:
                kinds.setdefault((name, tuple(tensor.target_shape), tensor.role), (name, tensor.name))
    return list(kinds.values())


@pytest.mark.parametrize(("example", "name"), _declared())
def test_a_tensor_without_its_declaration_is_listed_alone(example: str, name: str) -> None:
    listed = [
        replace(t, role=None, fan_in_axes=None, fan_out_axes=None) if t.name == name else t for t in tensors(example)
    ]
    with pytest.raises(UnplacedTensorsError) as refusal:
        plan(example, tensors=listed)
    assert [problem[0] for problem in refusal.value.problems] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_without_a_layout_the_matrices_that_need_one_are_listed(name: str) -> None:
    needy = [
        t.name
        for t in tensors(name)
        if len(set(t.base_shape)) == 2 and t.role in (None, "hidden") and t.fan_out_axes is None
        if t.name not in ("transformer.wte.weight", "lm_head.weight")  # the tie places both
    ]
    with pytest.raises(UnplacedTensorsError) as refusal:
        plan(name, layout=None)
    assert [problem[0] for problem in refusal.value.problems] == needy
