"""`widthwise advise`: from options and from a request of a transfer."""

import json

from tests.cli.conftest import Run


def test_options_make_a_case(run: Run) -> None:
    widths = ("--base-width", "1024", "--target-width", "4096")
    shown = " ".join(run("advise", "-p", "standard", "-o", "adamw", *widths).out.split())
    assert "standard, adamw, full alignment" in shown
    assert "2.572" in shown
    assert "Rule of weight_decay: constant_product" in shown
    assert "Proxy width 640" in shown
    assert "Thin: " in shown


def test_a_request_of_a_transfer_is_a_case(run: Run) -> None:
    found = json.loads(run("advise", "examples/gpt2_small_to_xl.json", "-o", "lion", "--json").out)
    assert {option["basis"] for option in found["options"]} == {"same exponents as Adam"}
    assert "optimizer is missing" in run("advise").err
