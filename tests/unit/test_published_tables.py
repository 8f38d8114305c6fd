"""The published numbers of Everett et al. 2024: results of the program, not its input."""

from fractions import Fraction

import pytest

from widthwise import Role, init_exponents, largest_stable, solve

ROLES = (Role.EMBEDDING, Role.HIDDEN, Role.READOUT)
PARAMETERIZATIONS = ("standard", "ntk", "mup", "mean_field")

#: Table 1, c = (embedding, hidden, readout), as printed; columns SGD, Adam, Adafactor, each full then none.
TABLE_1 = {
    "standard": ["-1/2 1/2 1", "-1/2 0 1/2", "0 1 1", "0 1/2 1/2", "0 1/2 1/2", "0 0 0"],
    "ntk": ["-1/2 -1/2 0", "-1/2 -1 -1/2", "0 1/2 1/2", "0 0 0", "0 1/2 1/2", "0 0 0"],
    "mup": ["0 0 0", "0 -1/2 0", "1/2 1 1/2", "1/2 1/2 0", "0 1/2 0", "0 0 0"],
    "mean_field": ["-1 -1 -1", "-1 -3/2 -1", "0 1/2 0", "0 0 -1/2", "0 1/2 0", "0 0 0"],
}
COLUMNS = [(optimizer, alignment) for optimizer in ("sgd", "adam", "adafactor") for alignment in ("full", "none")]

#: Gradient exponents g at init, same roles.
GRADIENTS = {"standard": "1/2 1/2 0", "ntk": "1/2 1 1/2", "mup": "1/2 1 1/2", "mean_field": "1 3/2 1"}

#: ω_readout = 1, full alignment: SGD, Adam, Adafactor; muP and mean-field stay as in Table 1.
OMEGA_ONE = {
    "standard": ["0 1 1", "1/2 3/2 1", "1/2 1 1/2"],
    "ntk": ["0 0 0", "1/2 1 1/2", "1/2 1 1/2"],
    "mup": ["0 0 0", "1/2 1 1/2", "0 1/2 0"],
    "mean_field": ["-1 -1 -1", "0 1/2 0", "0 1/2 0"],
}


def _cells(printed: str) -> list[Fraction]:
    return [Fraction(cell) for cell in printed.split()]


@pytest.mark.parametrize("parameterization", PARAMETERIZATIONS)
@pytest.mark.parametrize("column", range(6))
def test_table_1(parameterization: str, column: int) -> None:
    optimizer, alignment = COLUMNS[column]
    printed = _cells(TABLE_1[parameterization][column])
    exact = largest_stable(parameterization, optimizer, alignment)
    assert [exact[role] for role in ROLES] == printed
    program = solve(parameterization, optimizer, alignment)
    assert [program.c[role] for role in ROLES] == pytest.approx([float(c) for c in printed], abs=1e-9)


@pytest.mark.parametrize("parameterization", PARAMETERIZATIONS)
def test_gradient_exponents(parameterization: str) -> None:
    init = init_exponents(parameterization)
    assert [init[role].g for role in ROLES] == _cells(GRADIENTS[parameterization])


@pytest.mark.parametrize("parameterization", PARAMETERIZATIONS)
@pytest.mark.parametrize(("row", "optimizer"), list(enumerate(("sgd", "adam", "adafactor"))))
def test_worst_case_readout(parameterization: str, row: int, optimizer: str) -> None:
    printed = _cells(OMEGA_ONE[parameterization][row])
    exact = largest_stable(parameterization, optimizer, "full", readout_omega=1)
    assert [exact[role] for role in ROLES] == printed
    program = solve(parameterization, optimizer, "full", readout_omega=1)
    assert [program.c[role] for role in ROLES] == pytest.approx([float(c) for c in printed], abs=1e-9)


@pytest.mark.parametrize("parameterization", PARAMETERIZATIONS)
@pytest.mark.parametrize("alignment", ["full", "none"])
def test_optimizers_of_one_update_scale_share_their_exponents(parameterization: str, alignment: str) -> None:
    adam = largest_stable(parameterization, "adam", alignment)
    assert adam == largest_stable(parameterization, "adamw", alignment)
    assert adam == largest_stable(parameterization, "adam_atan2", alignment)
    relative = largest_stable(parameterization, "adafactor", alignment)
    assert relative == largest_stable(parameterization, "adam_parameter_scaling", alignment)


def test_mean_field_without_alignment_has_a_growing_readout_rate() -> None:
    """A published package prints +½ here; the constraints give −½."""
    assert largest_stable("mean_field", "adam", "none")[Role.READOUT] == Fraction(-1, 2)
