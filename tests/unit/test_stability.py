"""Program, closed form and equivalence map agree for any alignment."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise import (
    InvalidInputError,
    Optimizer,
    Parameterization,
    Role,
    convert,
    init_exponents,
    largest_stable,
    shift,
    solve,
    theoretical_exponents,
)
from widthwise.theory.alignment import parse
from widthwise.theory.optimizers import update_scale
from widthwise.theory.stability import required_feature_change

sixteenths = st.integers(8, 16).map(lambda k: k / 16)
alignments = st.fixed_dictionaries(
    {
        role: st.fixed_dictionaries({"alpha": sixteenths, "omega": sixteenths, "u": sixteenths})
        for role in ("hidden", "readout")
    }
)
parameterizations = st.sampled_from(Parameterization)
optimizers = st.sampled_from(Optimizer)


@settings(max_examples=120, deadline=None)
@given(parameterizations, optimizers, alignments, st.integers(1, 4))
def test_program_and_closed_form_agree(parameterization, optimizer, alignment, layers) -> None:
    program = solve(parameterization, optimizer, alignment, hidden_layers=layers)
    exact = largest_stable(parameterization, optimizer, alignment, hidden_layers=layers)
    assert program.c == pytest.approx({role: float(exact[role]) for role in program.c}, abs=1e-9)
    required = required_feature_change(parameterization, parse(alignment), layers)
    assert program.r == pytest.approx([float(r) for r in required.layers], abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(parameterizations, st.sampled_from(["adam", "adafactor"]), alignments)
def test_equivalent_parameterizations_have_equivalent_solutions(parameterization, optimizer, alignment) -> None:
    """{standard, ntk} and {mup, mean_field}: mapping one solution gives the other's.  (SGD below.)"""
    other = _PARTNER[parameterization]
    mapped = convert(theoretical_exponents(parameterization, optimizer, alignment), optimizer, other)
    assert mapped == theoretical_exponents(other, optimizer, alignment)


_PARTNER = {
    Parameterization.STANDARD: Parameterization.NTK,
    Parameterization.NTK: Parameterization.STANDARD,
    Parameterization.MUP: Parameterization.MEAN_FIELD,
    Parameterization.MEAN_FIELD: Parameterization.MUP,
}


@settings(max_examples=200, deadline=None)
@given(parameterizations, alignments)
def test_equivalence_under_sgd(parameterization, alignment) -> None:
    """The bound c ≥ b − a at the readout is itself invariant: b − a and c both move by −2θ."""
    other = _PARTNER[parameterization]
    mapped = convert(theoretical_exponents(parameterization, "sgd", alignment), "sgd", other)
    assert mapped == theoretical_exponents(other, "sgd", alignment)


@given(parameterizations, optimizers, st.integers(-8, 8).map(lambda k: Fraction(k, 4)))
def test_shift_there_and_back_is_the_identity(parameterization, optimizer, theta) -> None:
    for e in theoretical_exponents(parameterization, optimizer).values():
        moved = shift(e, theta, optimizer)
        assert moved.a + moved.b == e.a + e.b
        assert shift(moved, -theta, optimizer) == e


@given(parameterizations, optimizers, alignments, alignments)
def test_more_alignment_never_allows_a_larger_learning_rate(parameterization, optimizer, one, two) -> None:
    larger = {role: {k: max(one[role][k], two[role][k]) for k in one[role]} for role in one}
    # α and u alone: a larger ω slows the features, which eases u at the next layer
    larger = {role: {**larger[role], "omega": one[role]["omega"]} for role in one}
    a, b = largest_stable(parameterization, optimizer, one), largest_stable(parameterization, optimizer, larger)
    assert all(b[role] >= a[role] for role in a)


@pytest.mark.parametrize(
    ("parameterization", "target", "sums"),
    [("standard", "mup", "1/2 here and 1 there"), ("mean_field", "ntk", "1 here and 1/2 there")],
)
def test_no_map_between_the_two_classes(parameterization, target, sums) -> None:
    with pytest.raises(InvalidInputError, match=rf"no equivalence map .* at the readout a \+ b is {sums}"):
        convert(theoretical_exponents(parameterization, "adam"), "adam", target)


@pytest.mark.parametrize("value", [0.49, 1.01, float("nan"), float("inf"), -1])
def test_alignment_outside_its_range_is_refused(value) -> None:
    bad = {"hidden": {"alpha": value, "omega": 0.5, "u": 1}, "readout": {"alpha": 1, "omega": 0.5, "u": 1}}
    with pytest.raises(InvalidInputError, match=r"alignment\.hidden\.alpha"):
        largest_stable("mup", "adam", bad)
    with pytest.raises(InvalidInputError, match="readout_omega"):
        largest_stable("mup", "adam", "full", readout_omega=value)


@pytest.mark.parametrize("alignment", ["fulll", {"hidden": {}}, {"hidden": {}, "readout": {}}])
def test_alignment_of_the_wrong_form_is_refused(alignment) -> None:
    with pytest.raises(InvalidInputError, match="alignment"):
        largest_stable("mup", "adam", alignment)


def test_muP_forms_are_the_published_tables() -> None:  # noqa: N802
    """Tensor Programs V, tables 3, 8 and 9, Adam column: (a, b, c) of embedding and readout."""
    published = {
        "table_3": {Role.EMBEDDING: (0, 0, 0), Role.READOUT: (0, 1, 1)},
        "table_8": {Role.EMBEDDING: (0, 0, 0), Role.READOUT: (1, 0, 0)},
        "table_9": {Role.EMBEDDING: ("-1/2", "1/2", "1/2"), Role.READOUT: ("1/2", "1/2", "1/2")},
    }
    sgd = {"table_3": (-1, 1), "table_8": (-1, -1), "table_9": (0, 0)}
    for form, rows in published.items():
        adam = theoretical_exponents("mup", "adam", form=form)
        for role, row in rows.items():
            assert (adam[role].a, adam[role].b, adam[role].c) == tuple(map(Fraction, row))
        e = theoretical_exponents("mup", "sgd", form=form)
        assert (e[Role.EMBEDDING].c, e[Role.READOUT].c) == sgd[form]
        assert e[Role.HIDDEN].c == 0


def test_a_form_is_refused_outside_muP() -> None:  # noqa: N802
    with pytest.raises(InvalidInputError, match="only muP"):
        theoretical_exponents("standard", "adam", form="table_8")


@pytest.mark.parametrize("count", [0, 10_001])
def test_hidden_layers_out_of_range(count) -> None:
    with pytest.raises(InvalidInputError, match=f"hidden_layers is {count}"):
        largest_stable("mup", "adam", hidden_layers=count)
    assert largest_stable("mup", "adam", hidden_layers=min(max(count, 1), 10_000)) == largest_stable("mup", "adam")


COMPOUNDING = {"hidden": {"alpha": 1, "omega": 1, "u": 1}, "readout": {"alpha": 1, "omega": 1, "u": 1}}


def test_an_unstated_number_of_hidden_layers_is_one() -> None:
    """Standard: the readout needs r = ω − b = ½ of the last layer, and a layer with ω = 1 adds ½ for the one before."""
    assert required_feature_change("standard", parse(COMPOUNDING)).layers == (1, Fraction(1, 2))
    assert solve("standard", "adam", COMPOUNDING).r == pytest.approx((1, 0.5))
    assert solve("standard", "adam", COMPOUNDING, hidden_layers=3).r == pytest.approx((2, 1.5, 1, 0.5))
    one, two = (largest_stable("standard", "adam", COMPOUNDING, hidden_layers=count) for count in (1, 2))
    assert largest_stable("standard", "adam", COMPOUNDING) == one
    assert two[Role.EMBEDDING] - one[Role.EMBEDDING] == Fraction(1, 2)


@settings(deadline=None, max_examples=50)
@given(parameterizations, st.sampled_from(Optimizer), alignments)
def test_the_logits_of_the_program_follow_from_the_closed_form(parameterization, optimizer, alignment) -> None:
    """The smallest exponent of W Δz, ΔW z and ΔW Δz at the readout, from the exact c and r."""
    align, init = parse(alignment), init_exponents(parameterization)[Role.READOUT]
    c = largest_stable(parameterization, optimizer, alignment)[Role.READOUT]
    r = required_feature_change(parameterization, align).last
    moved = c + init.a + update_scale(optimizer, Role.READOUT).offset(init)
    terms = (init.a + init.b + r - align.readout.omega, moved - align.readout.alpha, moved + r - align.readout.u)
    assert solve(parameterization, optimizer, alignment).logits == pytest.approx(float(min(terms)), abs=1e-7)
