"""The plan: values, invariants, forms, ties, measured exponents and warnings."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise import (
    Base,
    Exponents,
    Form,
    InvalidInputError,
    Optimizer,
    Parameterization,
    Role,
    Target,
    Tensor,
    WeightDecayMode,
    theoretical_exponents,
    transfer,
)
from widthwise.vocabulary import QUANTITIES

parameterizations = st.sampled_from(Parameterization)
optimizers = st.sampled_from(Optimizer)
modes = st.sampled_from(WeightDecayMode)
#: A small transformer with an uneven feed-forward growth, by width and d_ff.
BASE = Base(width=64, learning_rate=0.01, epsilon=1e-8, weight_decay=0.1, init_std=0.02)


def tensors(base: tuple[int, int], target: tuple[int, int]) -> list[Tensor]:
    (d, f), (D, F) = base, target
    return [
        Tensor("wte", (101, d), (101, D), role="embedding"),
        Tensor("qkv", (3 * d, d), (3 * D, D)),
        Tensor("up", (f, d), (F, D), role="hidden"),
        Tensor("down", (d, f), (D, F), role="hidden"),
        Tensor("k", (32, d), (32, D), role="hidden"),
        Tensor("gain", (d,), (D,)),
        Tensor("head", (101, d), (101, D), role="readout"),
        Tensor("head.bias", (101,), (101,)),
    ]


def plan(parameterization="mup", optimizer="adam", target=256, **more):
    options = {"base": BASE, "target": Target(width=target), "layout": "out_in", **more}
    return transfer(parameterization=parameterization, optimizer=optimizer, **options)


def multipliers(p):
    return {
        (entry.name if hasattr(entry, "name") else entry.role, name): quantity.multiplier
        for entry in (*p.layers, *p.tensors)
        for name in QUANTITIES
        if (quantity := getattr(entry, name)) is not None
    }


def test_the_contract_example() -> None:
    p = plan("standard", base=Base(width=256, learning_rate=0.003, epsilon=1e-8), target=4096)
    hidden = p.layer("hidden")
    assert hidden.learning_rate == (0.003 / 16, 1 / 16, 1.0)
    assert hidden.epsilon == (1e-8 / 4, 1 / 4, 0.5)
    assert hidden.init_std.value is None
    assert hidden.init_std[1:] == (1 / 4, 0.5)
    assert "Everett et al. 2024" in hidden.reason
    assert p.layer("embedding").learning_rate == (0.003, 1.0, 0.0)


@given(parameterizations, optimizers, modes, st.sampled_from(["full", "none"]), st.sampled_from([0.5, 1]))
def test_base_equal_to_target_is_an_exact_no_op(parameterization, optimizer, mode, alignment, omega) -> None:
    forms = Form if parameterization is Parameterization.MUP else [Form.TABLE_9]
    for form in forms:
        p = plan(
            parameterization,
            optimizer,
            64,
            tensors=tensors((64, 192), (64, 192)),
            weight_decay_mode=mode,
            alignment=alignment,
            readout_omega=omega,
            form=form,
        )
        assert set(multipliers(p).values()) == {1.0}
        assert {t.learning_rate.value for t in p.tensors} == {0.01}


@settings(deadline=None)
@given(parameterizations, optimizers, modes, st.sampled_from(["full", "none"]))
def test_transfers_compose(parameterization, optimizer, mode, alignment) -> None:
    """base → mid → target gives what base → target gives, with feed-forward widths that grow by other ratios."""
    sizes = [(64, 192), (160, 1000), (1024, 2048)]
    whole, first, second = (
        multipliers(
            plan(
                parameterization,
                optimizer,
                high[0],
                base=Base(width=low[0], learning_rate=1),
                tensors=tensors(low, high),
                weight_decay_mode=mode,
                alignment=alignment,
            )
        )
        for low, high in ((sizes[0], sizes[2]), (sizes[0], sizes[1]), (sizes[1], sizes[2]))
    )
    assert whole == pytest.approx({key: first[key] * second[key] for key in whole}, rel=1e-12)


@settings(deadline=None)
@given(parameterizations, optimizers, st.integers(1, 4096))
def test_decoupled_decay_keeps_the_decay_per_step(parameterization, optimizer, width) -> None:
    shapes = tensors((64, 192), (width, 3 * width))
    p = plan(parameterization, optimizer, width, tensors=shapes, weight_decay_mode="decoupled")
    for entry in (*p.layers, *p.tensors):
        assert entry.learning_rate.value * entry.weight_decay.value == pytest.approx(0.01 * 0.1, rel=1e-12)


def test_the_other_decay_modes() -> None:
    independent = plan(weight_decay_mode="independent").layer("hidden").weight_decay
    assert independent == (0.1, 1.0, 0.0)
    # coupled under Adam: λ·RMS(W) stays at its share of RMS(grad); muP hidden: n^(−1) against n^(−½)
    coupled = plan(weight_decay_mode="coupled").layer("hidden").weight_decay
    assert coupled == (pytest.approx(0.1 / 2), pytest.approx(1 / 2), 0.5)
    sgd = plan("standard", "sgd").layer("hidden")  # coupled by default; ηλ is what moves W
    assert sgd.learning_rate.multiplier * sgd.weight_decay.multiplier == 1.0


@settings(deadline=None)
@given(parameterizations, optimizers, st.sampled_from(["full", "none"]))
def test_even_growth_is_table_1_for_every_tensor(parameterization, optimizer, alignment) -> None:
    p = plan(parameterization, optimizer, 256, alignment=alignment, tensors=tensors((64, 256), (256, 1024)))
    for tensor in p.tensors:
        if tensor.name == "k":
            continue  # its fan-out stays: not even
        layer = p.layer(tensor.role)
        for name in QUANTITIES:
            of_tensor, of_layer = getattr(tensor, name), getattr(layer, name)
            if of_layer is None:
                assert of_tensor is None
            else:
                assert of_tensor.value == of_layer.value
                assert of_tensor[1:] == pytest.approx(of_layer[1:], rel=1e-12)


@pytest.mark.parametrize("alignment", ["full", "none"])
def test_muP_with_uneven_fans_is_the_spectral_condition(alignment) -> None:  # noqa: N802
    (d, f), (D, F) = (64, 256), (256, 2048)
    shapes = tensors((d, f), (D, F))
    adam, sgd = (plan("mup", o, D, tensors=shapes, alignment=alignment) for o in ("adam", "sgd"))
    for name, (i, o), (I, O) in (("up", (d, f), (D, F)), ("down", (f, d), (F, D)), ("k", (d, 32), (D, 32))):  # noqa: E741
        std = math.sqrt(1 / I) * min(1, math.sqrt(O / I)) / (math.sqrt(1 / i) * min(1, math.sqrt(o / i)))
        assert adam.tensor(name).init_std.multiplier == pytest.approx(std)
        p = 1 if alignment == "full" else 0.5
        assert adam.tensor(name).learning_rate.multiplier == pytest.approx((i / I) ** p)
        assert sgd.tensor(name).learning_rate.multiplier == pytest.approx((i / I) ** p * (O / o))


@settings(deadline=None)
@given(st.sampled_from(["adam", "sgd", "adam_parameter_scaling"]), st.sampled_from(["full", "none"]))
def test_a_readout_and_a_projection_of_constant_width_agree_in_muP(optimizer, alignment) -> None:  # noqa: N802
    """A hidden tensor whose fan-out stays is a readout in all but name: the same effective weights and updates."""
    p = plan("mup", optimizer, 1024, tensors=tensors((64, 256), (1024, 4096)), alignment=alignment)
    k, head = p.tensor("k"), p.tensor("head")
    effective = [t.init_std.multiplier * t.forward_multiplier.multiplier for t in (k, head)]
    assert effective[0] == pytest.approx(effective[1])
    if optimizer == "sgd" and alignment == "none":
        return  # the readout is held at c ≥ b − a (starred in Table 1), a hidden tensor is not
    power = {"adam": 1, "sgd": 2, "adam_parameter_scaling": 0}[optimizer]
    steps = [t.learning_rate.multiplier * t.forward_multiplier.multiplier**power for t in (k, head)]
    assert steps[0] == pytest.approx(steps[1])


@settings(deadline=None)
@given(parameterizations, st.sampled_from(["full", "none"]), st.integers(4, 4096), st.integers(4, 4096))
def test_relative_learning_rates_never_grow_with_width(parameterization, alignment, D, F) -> None:
    p = plan(
        parameterization,
        "adafactor",
        max(64, D),
        tensors=tensors((64, 192), (max(64, D), max(192, F))),
        alignment=alignment,
    )
    assert all(t.learning_rate.multiplier <= 1 + 1e-12 for t in p.tensors)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adam_parameter_scaling"])
@pytest.mark.parametrize("form", list(Form))
def test_tied_weights_agree_in_muP(optimizer, form) -> None:  # noqa: N802
    tied = [Tensor("wte", (101, 64), (101, 256)), Tensor("head", (101, 64), (101, 256), tied_to="wte")]
    p = plan("mup", optimizer, form=form, tensors=tied)
    wte, head = p.tensors
    for name in ("learning_rate", "epsilon", "init_std", "weight_decay", "gradient_rms"):
        assert getattr(wte, name) == getattr(head, name)
    assert "tied_conflict" not in {w.code for w in p.warnings}
    # the logits scale as those of an untied muP readout: multiplier × std ∝ 1/n
    assert head.forward_multiplier.multiplier * head.init_std.multiplier == pytest.approx(1 / 4)


def test_tied_weights_in_standard_take_the_smaller_rate_and_say_so() -> None:
    tied = [Tensor("wte", (101, 64), (101, 256)), Tensor("head", (101, 64), (101, 256), tied_to="wte")]
    p = plan("standard", tensors=tied)
    assert {t.learning_rate.multiplier for t in p.tensors} == {1 / 2}
    assert [w.code for w in p.warnings if w.code.startswith("tied")] == ["tied_conflict"]
    assert p.tensor("head").forward_multiplier.multiplier == 1 / 2


def test_rates_gammas_and_decays_by_role() -> None:
    base = Base(
        width=64,
        learning_rate={"embedding": 0.1, "hidden": 0.01, "readout": 0.02, "vector": 0.3},
        gamma={"hidden": 2.0},
        weight_decay={"hidden": 0.1},
    )
    p = plan("standard", base=base)
    assert p.layer("hidden").learning_rate.value == 0.01 * 2 / 4
    assert p.layer("embedding").learning_rate.value == 0.1
    assert p.layer("embedding").weight_decay.value == 0.0  # left out: not decayed
    assert p.layer("scalar").learning_rate.value is None
    with pytest.raises(InvalidInputError, match=r"no entry for role 'scalar', which tensor 'head.bias'"):
        plan("standard", base=base, tensors=tensors((64, 64), (128, 128)))


@pytest.mark.parametrize("name", ["learning_rate", "epsilon", "init_std", "gradient_rms", "weight_decay"])
def test_one_value_by_role_is_enough_for_each_role_to_have_its_own(name: str) -> None:
    values = {"embedding": 0.5, "hidden": 0.25, "readout": 0.125}
    p = plan("standard", base=Base(width=64, **{"learning_rate": 0.01, name: values}))
    for role, value in values.items():
        quantity = getattr(p.layer(role), name)
        assert quantity.value == pytest.approx(value * quantity.multiplier)


def test_measured_exponents_replace_theory() -> None:
    measured = Exponents(
        {"hidden": 1.1, "embedding": -0.05}, {"hidden": 0.7}, source="calibration", details={"id": "x"}
    )
    p = plan("standard", exponents=measured, tensors=tensors((64, 64), (256, 512)))
    assert p.layer("hidden").learning_rate.multiplier == pytest.approx(4**-1.1)
    assert p.layer("embedding").learning_rate.multiplier == pytest.approx(4**0.05)
    assert p.layer("readout").learning_rate.multiplier == 1 / 4
    assert p.layer("hidden").epsilon.multiplier == pytest.approx(4**-0.7)
    # what the measurement adds to theory goes with fan-in, where theory has it
    assert p.tensor("up").learning_rate.multiplier == pytest.approx(4**-1.1)
    assert p.tensor("down").learning_rate.multiplier == pytest.approx(8**-1.1)
    assert p.provenance["exponents"] == {"source": "calibration", "id": "x"}
    assert "calibration exponents" in p.layer("hidden").reason


@settings(deadline=None)
@given(parameterizations, optimizers)
def test_theory_given_as_measured_exponents_changes_nothing(parameterization, optimizer) -> None:
    c = {role: float(e.c) for role, e in theoretical_exponents(parameterization, optimizer).items()}
    shapes = tensors((64, 256), (512, 768))
    given_back = plan(parameterization, optimizer, 512, exponents=Exponents(c), tensors=shapes)
    assert multipliers(given_back) == multipliers(plan(parameterization, optimizer, 512, tensors=shapes))


def test_measured_exponents_follow_the_form() -> None:
    in_9 = {role: float(e.c) + 0.1 for role, e in theoretical_exponents("mup", "adam").items()}
    p = plan("mup", form="table_8", exponents=Exponents(in_9))
    assert p.layer("readout").learning_rate.exponent == pytest.approx(0.1)


def test_tied_uses_that_differ_by_rounding_agree() -> None:
    tied = [Tensor("wte", (101, 64), (101, 256)), Tensor("head", (101, 64), (101, 256), tied_to="wte")]
    measured = Exponents({"embedding": 0.6, "hidden": 1.1, "readout": 0.6, "vector": 0.1})
    for form in Form:
        assert "tied_conflict" not in {
            w.code for w in plan("mup", form=form, tensors=tied, exponents=measured).warnings
        }


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("base.width", lambda: Base(width=0)),
        ("base.width", lambda: Base(width=True)),
        ("base.width", lambda: Base(width=2**31)),
        ("target.depth", lambda: Target(depth=-1)),
        ("base.learning_rate", lambda: Base(learning_rate=float("nan"))),
        ("base.learning_rate", lambda: Base(learning_rate=0)),
        ("base.learning_rate", lambda: Base(learning_rate={"head": 1})),
        ("base.learning_rate.hidden", lambda: Base(learning_rate={"hidden": -1})),
        ("base.epsilon", lambda: Base(epsilon=math.inf)),
        ("base.weight_decay", lambda: Base(weight_decay="0.1")),
        ("target.width", lambda: plan(target=None)),
        ("base.width", lambda: plan(base=Base(), target=None)),
        ("parameterization", lambda: plan("muP")),
        ("optimizer", lambda: plan(optimizer="sophia")),
        ("form", lambda: plan(form="table_4")),
        ("layout", lambda: plan(layout="oi")),
        ("weight_decay_mode", lambda: plan(weight_decay_mode="l2")),
        ("exponents.learning_rate", lambda: plan(exponents=Exponents({"head": 1.0}))),
        ("exponents", lambda: plan(exponents=Exponents({"hidden": math.nan}))),
    ],
)
def test_bad_input_names_its_field(field, make) -> None:
    with pytest.raises(InvalidInputError) as caught:
        make()
    assert caught.value.field == field


def test_adafactor_adds_its_epsilon_to_the_squared_gradient() -> None:
    assert plan("standard", "adafactor").layer("hidden").epsilon.exponent == 1.0
    assert plan("standard", "adam").layer("hidden").epsilon.exponent == 0.5
    assert plan("standard", "sgd").layer("hidden").epsilon is None


def test_worst_case_readout_slows_the_features_by_fan_out() -> None:
    p = plan("standard", readout_omega=1, tensors=tensors((64, 64), (256, 1024)))
    assert p.layer("hidden").learning_rate.exponent == 1.5
    assert p.tensor("up").learning_rate.multiplier == pytest.approx(1 / 4 * 16**-0.5)
    assert p.tensor("gain").learning_rate.multiplier == 0.5


def test_the_dictionary_has_the_shape_of_the_contract() -> None:
    body = plan(tensors=tensors((64, 64), (128, 128))).to_dict()
    assert set(body) == {"layers", "tensors", "warnings", "provenance", "rules", "model", "training"}
    assert [layer["role"] for layer in body["layers"]] == [role.value for role in Role]
    assert set(body["layers"][0]) == {"role", *QUANTITIES, "reason"}
    assert set(body["tensors"][0]) == {"name", "role", "fan_in", "fan_out", "tied_to", *QUANTITIES, "reason"}
    assert set(body["tensors"][0]["learning_rate"]) == {"value", "multiplier", "exponent", "factors"}
