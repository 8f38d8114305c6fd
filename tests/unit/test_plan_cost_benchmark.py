"""The benchmark of a plan's cost: what it times runs here, and its page says what was measured."""

import argparse

from benchmarks import plan_cost


def test_every_case_gives_a_plan() -> None:
    for case in plan_cost.cases().values():
        assert case()


def test_the_page_compares_the_shortest_times_and_the_ratios_of_the_rounds() -> None:
    found = {name: [(20.0, 60.0), (10.0, 40.0), (30.0, 33.0)] for name in plan_cost.cases()}
    lines = plan_cost.page(found, argparse.Namespace(before="abc1234", rounds=3))
    assert lines[0].startswith("A plan of widths alone takes 23 µs more than at abc1234 (15 µs were allowed).")
    assert "| widths alone | 10 | 33 | 3.00 |" in lines
