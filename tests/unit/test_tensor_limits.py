"""Where a shape stops being one: the limits of axes and fans, and of an axis that is padded rather than a width."""

import pytest

from widthwise import Role, Tensor, UnplacedTensorsError
from widthwise.tensors.placement import Placement, place


def problem(tensor: Tensor, layout: str | None = "out_in") -> str | None:
    """Why a tensor can't be placed; None if it can."""
    try:
        place([tensor], layout)
    except UnplacedTensorsError as error:
        return error.problems[0][1]
    return None


def placed(*tensors: Tensor, layout: str | None = None) -> list[Placement]:
    return place(tensors, layout)


@pytest.mark.parametrize(
    ("barely", "clearly", "padded"),
    [
        ((1000, 1019), (100, 120), True),  # less than ×1.02 next to ×1.2 or more
        ((1000, 1020), (100, 120), False),
        ((1000, 1019), (1000, 1199), False),
        ((1019, 1000), (100, 120), True),  # in either direction
        ((1020, 1000), (100, 120), False),
        ((1000, 1019), (120, 100), True),
        ((1000, 1019), (1199, 1000), False),
    ],
)
def test_an_axis_that_barely_changes_while_the_other_clearly_does_is_padded(
    barely: tuple[int, int], clearly: tuple[int, int], padded: bool
) -> None:
    for one, other, words in ((barely, clearly, "fan-in"), (clearly, barely, "fan-out")):
        tensor = Tensor("w", (one[0], other[0]), (one[1], other[1]), (0,), (1,))
        said = problem(tensor)
        if padded:
            growth = f"×{barely[1] / barely[0]:.4g}"
            assert said is not None
            assert f"the {words} barely changes ({growth}) while the other" in said
        else:
            assert said is None


def test_the_largest_axis_is_what_json_holds_and_the_largest_fan_a_product_of_them() -> None:
    assert problem(Tensor("w", (2**53,), (2**53,))) is None
    assert "every axis is an integer from 1 to 9007199254740992" in str(problem(Tensor("w", (2**53 + 1,), (1,))))
    assert problem(Tensor("w", (1,), (1,))) is None
    assert "holds 0" in str(problem(Tensor("w", (1,), (0,))))
    assert problem(Tensor("w", (2**53, 2**10), (2**53, 2**10), (0, 1), ())) is None
    for shapes in (((2**53, 2**10 + 1), (1, 1)), ((1, 1), (2**53, 2**10 + 1))):
        for axes in (((0, 1), ()), ((), (0, 1))):
            assert "beyond any model (at most 2^63)" in str(problem(Tensor("w", *shapes, *axes)))


@pytest.mark.parametrize(
    ("fan_in", "fan_out", "role"),
    [
        ((64, 256), (64, 256), Role.HIDDEN),
        ((64, 64), (64, 256), Role.EMBEDDING),
        ((64, 256), (64, 64), Role.READOUT),
        ((64, 64), (64, 64), Role.HIDDEN),
        (None, (64, 256), Role.VECTOR),
        (None, (64, 64), Role.SCALAR),
    ],
)
def test_the_role_follows_from_which_fans_grow(
    fan_in: tuple[int, int] | None, fan_out: tuple[int, int], role: Role
) -> None:
    pairs = [fan_out] if fan_in is None else [fan_in, fan_out]
    base, target = zip(*pairs, strict=True)
    axes = ((), (0,)) if fan_in is None else ((0,), (1,))
    (found,) = placed(Tensor("w", base, target, *axes))
    assert (found.role, found.declared) == (role, False)


@pytest.mark.parametrize(("role", "growing"), [("embedding", 0), ("readout", 1)])
def test_a_declared_role_is_refused_if_only_its_other_fan_grows(role: str, growing: int) -> None:
    """Both may grow, as positions do with the width, and neither need."""
    for grows in ((False, False), (True, True), (growing == 0, growing == 1), (growing == 1, growing == 0)):
        target = tuple(256 if each else 64 for each in grows)
        said = problem(Tensor("w", (64, 64), target, (0,), (1,), role=role))
        assert (said is not None) == (grows == (growing == 0, growing == 1))


def test_a_changing_axis_in_neither_fan_is_a_stack() -> None:
    for target, changes in (((8, 256, 256), True), ((4, 256, 256), False)):
        (found,) = placed(Tensor("w", (4, 64, 64), target, (1,), (2,)))
        assert found.stack_changes is changes


def test_a_tie_needs_as_many_weights_on_both_sides_at_both_sizes() -> None:
    owner = Tensor("table", (99, 64), (99, 256), role="embedding")
    for base, target, ties in (
        ((99, 64), (99, 256), True),
        ((64, 99), (256, 99), True),  # transposed
        ((99, 32), (99, 256), False),
        ((99, 64), (99, 128), False),
    ):
        head = Tensor("head", base, target, role="readout", tied_to="table")
        if ties:
            assert [each.role for each in placed(owner, head)] == [Role.EMBEDDING, Role.READOUT]
        else:
            with pytest.raises(UnplacedTensorsError, match="their sizes differ"):
                placed(owner, head)


def test_a_role_or_axes_of_a_tied_matrix_are_taken_as_they_are_declared() -> None:
    """Without either, the owner embeds and the one that is tied to it reads out."""
    sizes = (99, 64), (99, 256)
    table, head = placed(Tensor("table", *sizes), Tensor("head", *sizes, tied_to="table"))
    assert (table.role, head.role) == (Role.EMBEDDING, Role.READOUT)
    assert table.declared
    table, head = placed(Tensor("table", *sizes, (0,), (1,)), Tensor("head", *sizes, (1,), (0,), tied_to="table"))
    assert (table.role, head.role) == (Role.EMBEDDING, Role.READOUT)
    assert not table.declared
    for side in ({"fan_in_axes": (0,)}, {"fan_out_axes": (1,)}):
        with pytest.raises(UnplacedTensorsError, match="give both fan_in_axes and fan_out_axes"):
            placed(Tensor("table", *sizes, **side), Tensor("head", *sizes, tied_to="table"))


def test_a_declared_role_of_tied_weights_stays() -> None:
    """Two uses of one hidden matrix, of which one end alone grows."""
    sizes = (64, 64), (64, 256)
    uses = placed(
        Tensor("up", *sizes, role="hidden"), Tensor("again", *sizes, role="hidden", tied_to="up"), layout="in_out"
    )
    assert [each.role for each in uses] == [Role.HIDDEN, Role.HIDDEN]


def test_a_hidden_tensor_of_one_axis_gives_out_what_it_has() -> None:
    (found,) = placed(Tensor("w", (64,), (256,), role="hidden"))
    assert found.fans == (1, 1, 64, 256)


def test_the_width_of_a_table_whose_last_axis_stays_is_the_axis_that_other_tensors_have() -> None:
    norm, bias = Tensor("norm", (64,), (256,)), Tensor("bias", (9,), (12,))
    stem = Tensor("stem", (64, 9, 4), (256, 12, 4), role="embedding")
    assert placed(norm, stem)[1].fans == (36, 48, 64, 256)
    assert placed(bias, stem)[1].fans == (256, 1024, 9, 12)
    for others in ((), (norm, bias)):  # none is known, or both
        with pytest.raises(UnplacedTensorsError, match="more than one axis of an embedding changes"):
            placed(*others, stem)


def test_a_readout_whose_outputs_grow_too_takes_the_layout() -> None:
    """Either axis may be the width, whatever other tensors show; with more axes they have to be declared."""
    norm, head = Tensor("norm", (64,), (256,)), Tensor("head", (99, 64), (120, 256), role="readout")
    assert placed(norm, head, layout="out_in")[1].fans == (64, 256, 99, 120)
    assert placed(norm, head, layout="in_out")[1].fans == (99, 120, 64, 256)
    with pytest.raises(UnplacedTensorsError, match="which axis is fan-in is not said"):
        placed(norm, head)
    for layout in (None, "out_in"):
        with pytest.raises(UnplacedTensorsError, match="more than one axis of a readout changes"):
            placed(norm, Tensor("heads", (2, 99, 64), (2, 120, 256), role="readout"), layout=layout)


@pytest.mark.parametrize(("base", "target", "fused"), [(768, 3072, True), (769, 3072, False), (768, 3073, False)])
def test_queries_keys_and_values_side_by_side_are_three_widths_at_both_sizes(
    base: int, target: int, *, fused: bool
) -> None:
    model = (
        Tensor("norm", (256,), (1024,)),
        Tensor("o", (256, 256), (1024, 1024)),
        Tensor("head", (999, 256), (999, 1024), role="readout"),
    )
    qkv = Tensor("qkv", (base, 256), (target, 1024))
    if fused:
        assert placed(*model, qkv, layout="out_in")[-1].role is Role.HIDDEN
    else:
        with pytest.raises(UnplacedTensorsError, match="a width nowhere else"):
            placed(*model, qkv, layout="out_in")
