"""Patterns that a trainer's own matcher finds exactly once, for names that try to fool it."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise import InvalidInputError
from widthwise.exports.matcher import Matcher, Members, Patterns, patterns, prove

_PART = st.sampled_from(("0", "1", "12", "layers", "up", "weight", "w", "a+b", "x[0]", "q?", "embed", "pos_embed", "*"))
_NAME = st.lists(_PART, min_size=1, max_size=4).map(".".join)


@st.composite
def _groups(draw: st.DrawFn) -> list[Members]:
    names = draw(st.lists(_NAME, min_size=1, max_size=25, unique=True))
    homes = [draw(st.integers(0, 3)) for _ in names]
    return [Members(f"g{at}", [n for n, home in zip(names, homes, strict=True) if home == at]) for at in set(homes)]


@pytest.mark.parametrize("matcher", Matcher)
@given(groups=_groups(), wrapped=st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_name_finds_its_group_once(matcher: Matcher, groups: list[Members], wrapped: bool) -> None:
    for prefixes in (("",), ("", "module.")) if matcher is Matcher.FNMATCH_MERGED else (("",),):
        found = patterns(
            groups, matcher, wrapped=wrapped and not matcher.is_glob and matcher is not Matcher.NAMES, prefixes=prefixes
        )
        assert [each.group for each in found] == [group.group for group in groups]


def test_layers_of_one_group_are_one_pattern() -> None:
    groups = [Members("h", [f"layers.{at}.up.weight" for at in range(30)]), Members("e", ["embed.weight"])]
    assert patterns(groups, Matcher.SEARCH_FIRST) == (
        Patterns("h", (r"^layers\.\d+\.up\.weight$",)),
        Patterns("e", (r"^embed\.weight$",)),
    )
    assert patterns(groups, Matcher.FNMATCH_ONE)[0].patterns == ("layers.*.up.weight",)
    assert patterns(groups, Matcher.SEARCH_FIRST, wrapped=True)[1].patterns == (
        r"^(?:_\w+\.)*embed\.(?:_\w+\.)*weight$",
    )
    names = [Members("h", ["layers.0.up.weight", "layers.2.up.weight"]), Members("i", ["layers.1.up.weight"])]
    assert patterns(names, Matcher.SEARCH_FIRST)[0].patterns == (r"^layers\.(?:0|2)\.up\.weight$",)
    assert patterns(names, Matcher.FNMATCH_ONE)[0].patterns == ("layers.0.up.weight", "layers.2.up.weight")


def test_names_that_begin_as_wrappers_do_are_told_apart() -> None:
    groups = [Members("a", ["m.weight"]), Members("b", ["m._inner.weight"])]
    found = patterns(groups, Matcher.SEARCH_FIRST, wrapped=True)
    assert "_orig_mod" in found[0].patterns[0]


def test_a_hundred_thousand_tensors_take_seconds() -> None:
    groups = [
        Members(f"g{at}", [f"layers.{n}.w{at}.{k}.weight" for n in range(100) for k in range(50)]) for at in range(20)
    ]
    started = time.perf_counter()
    for matcher in Matcher:
        patterns(groups, matcher)
    assert time.perf_counter() - started < 60  # measured: 7 s for all of them
    crowd = [Members(f"g{at}", [f"{n}.{k}" for n in range(50) for k in range(at, 50, 2)]) for at in range(2)]
    with pytest.raises(InvalidInputError, match="have 2500 kinds of names"):
        patterns(crowd, Matcher.SEARCH_FIRST)


def test_a_star_that_crosses_dots_is_not_used() -> None:
    groups = [Members("a", ["layers.0.up.weight"]), Members("b", ["layers.0.moe.up.weight", "embed.weight"])]
    assert patterns(groups, Matcher.FNMATCH_MERGED)[0].patterns == ("layers.0.up.weight",)


@pytest.mark.parametrize(
    ("matcher", "pattern", "wrapped"),
    [
        (Matcher.SEARCH_FIRST, r"^a\.weight$", True),  # misses the name with a wrapper inside
        (Matcher.SEARCH_FIRST, "a", False),  # claims the other's name first
        (Matcher.MATCH_FIRST, "", False),
        (Matcher.FULLMATCH_ONE, ".*", False),
        (Matcher.FNMATCH_ONE, "*", False),
        (Matcher.FNMATCH_MERGED, "*.weight", False),
        (Matcher.FNMATCH_MERGED, "b", False),
        (Matcher.NAMES, "b", False),
    ],
)
def test_a_pattern_that_claims_too_much_or_too_little_is_refused(matcher: Matcher, pattern: str, wrapped: bool) -> None:
    groups = [Members("a", ["a.weight"]), Members("b", ["ab.weight"])]
    right = patterns(groups, matcher)
    prove(groups, right, matcher)
    with pytest.raises(InvalidInputError, match="belongs to group"):
        prove(groups, [Patterns("a", (pattern,)), right[1]], matcher, wrapped=wrapped)
