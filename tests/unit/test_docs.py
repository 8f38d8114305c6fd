"""The tables of docs/theory.md are what the code computes, and every warning code is described."""

import re
from pathlib import Path

import pytest

from widthwise import Role, init_exponents, largest_stable
from widthwise.reading.configs.registry import KINDS
from widthwise.theory.optimizers import OPTIMIZERS
from widthwise.vocabulary import ExponentQuantity

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


def test_the_table_of_optimizers_is_what_their_records_say() -> None:
    listed = [line for line in THEORY.partition("## 4.")[2].partition("## 5.")[0].splitlines() if line.count("|") == 6]
    for (word, record), line in zip(OPTIMIZERS.items(), listed[2:], strict=True):
        name, label, scale, epsilon, decay = (cell.strip() for cell in line.strip("|").split("|"))
        others = ", ".join(f"{role} {own.law}" for role, own in record.scales.items())
        expected = record.scale.law + (f"; {others}" if others else "")
        assert (name, label, scale) == (f"`{word.value}`", record.label, expected)
        power = ("–", "g", "g²")[record.epsilon_power]
        norms = [own for own in record.scales.values() if own.preconditioner is not None]
        assert epsilon == "; ".join([power, *("‖G‖" + ("", "²")[own.epsilon_power - 1] for own in norms)])
        assert re.match(r"\w+", decay)[0] == record.weight_decay_mode.value  # type: ignore[index]  # it begins with one
        assert (";" in decay) is bool(record.decay_elsewhere)


@pytest.mark.parametrize(
    ("section", "modules", "fewest"),
    [
        ("## 5. Warnings", ["transfers/cautions.py", "theory/tied.py"], 13),
        ("## 6. What a calibration", ["estimate/cautions.py"], 12),
        (
            "## 6. What a calibration",
            [
                "estimate/readings.py",
                *(f"estimate/parts/{part}.py" for part in ("gradients", "alignments", "coordinates")),
            ],
            8,
        ),
        ("## 6. What a calibration", ["estimate/parts/horizon.py", "estimate/parts/gamma.py"], 8),
    ],
)
def test_every_warning_is_described(section: str, modules: list[str], fewest: int) -> None:
    sources = "".join((ROOT / "widthwise" / name).read_text() for name in modules)
    codes = set(re.findall(r'Caution\(\s*"(\w+)"', sources)) | set(re.findall(r'\("(\w+_changed)"', sources))
    assert len(codes) >= fewest
    described = THEORY[THEORY.index(section) :].partition("\n## ")[0]
    assert {code for code in codes if f"`{code}`" not in described} == set()


def test_every_warning_of_a_named_rule_is_described() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "widthwise/rules/beyond_width").glob("*.py"))
    codes = set(re.findall(r'Caution\(\s*"(\w+)"', sources))
    assert len(codes) >= 5
    page = (ROOT / "docs/rules.md").read_text()
    assert {code for code in codes if f"| `{code}` |" not in page} == set()


def test_every_warning_about_a_model_is_described() -> None:
    folders = [ROOT / "widthwise" / name for name in ("reading", "torch")]
    files = [ROOT / "widthwise/transfers/computed.py", *(path for folder in folders for path in folder.rglob("*.py"))]
    codes = set(re.findall(r'Caution\(\s*"(\w+)"', "".join(path.read_text() for path in files)))
    assert len(codes) >= 4
    page = (ROOT / "docs" / "models.md").read_text()
    assert {code for code in codes if f"`{code}`" not in page} == set()


def test_the_configurations_that_are_understood_are_listed() -> None:
    page = (ROOT / "docs" / "models.md").read_text()
    listed = page.partition("Understood are the")[2].partition("with the names")[0]
    assert sorted(re.findall(r"`(\w+)`", listed)[1:]) == sorted(KINDS)


def test_every_stored_quantity_is_described_as_the_service_describes_it() -> None:
    page = (ROOT / "docs" / "calibration.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| (.+) \| (\S+) \|$", page.partition("## What is stored")[2], re.MULTILINE)
    assert listed == [(quantity.value, quantity.meaning, quantity.law) for quantity in ExponentQuantity]


def test_documents_and_benchmarks_named_in_the_sources_exist() -> None:
    tracked = [
        path for folder in ("widthwise", "service", "workers", "benchmarks", "tests") for path in _sources(folder)
    ]
    assert len(tracked) > 100
    missing = [
        (str(path.relative_to(ROOT)), name)
        for path in tracked
        for name in re.findall(r"[\w/]+\.md\b|benchmarks/\w+\.py|benchmarks\.\w+", path.read_text())
        if not any((ROOT / folder / _file(name)).exists() for folder in ("", "docs", "docs/results", "examples"))
    ]
    assert missing == []


def _sources(folder: str) -> list[Path]:
    return [path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts]


def _file(name: str) -> str:
    return name.replace(".", "/") + ".py" if name.startswith("benchmarks.") else name
