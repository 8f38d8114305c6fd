"""The tables of docs/theory.md are what the code computes, and every warning code is described."""

import re
from pathlib import Path

import pytest

from widthwise import Role, init_exponents, largest_stable

ROOT = Path(__file__).parents[2]
THEORY = (ROOT / "docs" / "theory.md").read_text()
ROLES = (Role.EMBEDDING, Role.HIDDEN, Role.READOUT)


def rows(parameterization: str) -> list[list[str]]:
    lines = [line for line in THEORY.splitlines() if line.startswith(f"| {parameterization} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")[1:]] for line in lines]


@pytest.mark.parametrize("parameterization", ["standard", "ntk", "mup", "mean_field"])
def test_tables(parameterization: str) -> None:
    init = init_exponents(parameterization)
    init_row, gradient_row, rate_row = rows(parameterization)
    assert init_row == [f"{init[role].a}, {init[role].b}" for role in ROLES]
    assert gradient_row == [str(init[role].g) for role in ROLES]
    assert rate_row == [
        ", ".join(str(largest_stable(parameterization, optimizer, alignment)[role]) for role in ROLES)
        for optimizer in ("sgd", "adam", "adafactor")
        for alignment in ("full", "none")
    ]


def test_every_warning_is_described() -> None:
    sources = "".join((ROOT / "widthwise" / name).read_text() for name in ("cautions.py", "tied.py"))
    codes = set(re.findall(r'Caution\(\s*"(\w+)"', sources)) | set(re.findall(r'\("(\w+_changed)"', sources))
    assert len(codes) >= 13
    described = THEORY[THEORY.index("## 5. Warnings") :]
    assert {code for code in codes if f"`{code}`" not in described} == set()
