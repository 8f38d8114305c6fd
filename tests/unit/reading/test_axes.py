"""Axes are followed through reshapes, slices and joins."""

from widthwise.reading.dataflow.axes import AxisRelations, origin


def test_a_reshape_that_splits_and_merges_comes_back_to_the_same_axis() -> None:
    axes = AxisRelations()
    (whole,) = axes.fresh((48,))
    split = axes.reshape([whole], (4, 12))
    assert split is not None
    assert [[atom.size for atom in dim] for dim in split] == [[4], [12]]
    assert axes.reshape(split, (48,)) == [whole]


def test_sizes_that_do_not_divide_each_other_have_no_reshape() -> None:
    axes = AxisRelations()
    assert axes.reshape(axes.fresh((6, 5)), (10, 3)) is None


def test_pieces_of_axes_that_are_one_are_one() -> None:
    axes = AxisRelations()
    (one,), (other,) = axes.fresh((12, 12))
    ours = axes.slice([one], 0, 4)
    axes.unite([one], [other])
    theirs = axes.slice([other], 0, 4)
    assert axes.class_of(ours[0]) == axes.class_of(theirs[0])
    assert axes.class_of(ours[0]) != axes.class_of(axes.slice([other], 4, 4)[0])


def test_axes_of_unequal_sizes_are_never_one() -> None:
    axes = AxisRelations()
    (one,), (other,) = axes.fresh((6, 4))
    axes.unite([one], [other])
    assert axes.class_of(one) != axes.class_of(other)


def test_a_merged_axis_is_united_piece_by_piece() -> None:
    axes = AxisRelations()
    heads, size, whole = (dim[0] for dim in axes.fresh((4, 12, 48)))
    axes.unite([heads, size], [whole])
    pieces = axes.split(whole, 4)
    assert [axes.class_of(piece) for piece in pieces] == [axes.class_of(heads), axes.class_of(size)]


def test_only_what_weights_do_makes_one_axis_of_a_weight() -> None:
    axes = AxisRelations()
    one, other = axes.atom(8, ("a", 0)), axes.atom(8, ("b", 0))
    axes.unite([one], [other])
    assert not axes.own_classes([one]) & axes.own_classes([other])
    axes.unite([one], [other], own=True)
    assert axes.own_classes([one]) & axes.own_classes([other])


def test_a_piece_knows_the_parameter_that_it_comes_from() -> None:
    axes = AxisRelations()
    atom = axes.atom(12, ("w", 1))
    piece = axes.slice(axes.slice([atom], 4, 8), 2, 3)
    assert origin(piece[0]) == (("w", 1), [axes.slice([atom], 4, 8)[0], piece[0]])
