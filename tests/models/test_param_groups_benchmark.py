"""The benchmark of parameter groups: its cases step, and its page says what was measured."""

from benchmarks import param_groups


def test_every_case_steps_and_the_page_compares_with_one_group() -> None:
    found = param_groups.measure(param_groups.cases(8), 2)
    assert len(found) == 12
    assert all(len(times) == 2 for times in found.values())
    fixed = {case: [10.0, 20.0] for case in found}
    fixed["AdamAtan2", "the same, attached"] = [11.0, 21.0]
    fixed["AdamAtan2", "a group for each tensor"] = [30.0, 60.0]
    lines = list(param_groups.page(fixed, 8))
    assert lines[0].startswith("A step over 8 tensors of 32 × 32 in a plan's 8 groups takes at most 7.5 % longer")
    assert "| AdamAtan2 | a group for each tensor | 30.0 | ×3.00 |" in lines
