"""The library's records of optimizers: one word and one record each, in one file."""

import ast
import math
from fractions import Fraction
from pathlib import Path

import pytest

from widthwise import Base, InvalidInputError, Target, Tensor, largest_stable, transfer, vocabulary
from widthwise.theory import optimizers
from widthwise.theory.optimizers import OPTIMA_AT, OPTIMIZERS, MeasuredOptimum
from widthwise.transfers.plan import LayerPlan, Plan
from widthwise.vocabulary import Architecture, Optimizer, WeightDecayMode

ROOT = Path(__file__).parents[2]


def test_every_word_has_a_record_with_a_label_that_is_its_alone() -> None:
    assert set(OPTIMIZERS) == set(Optimizer)
    assert len({record.label for record in OPTIMIZERS.values()}) == len(Optimizer)


def test_an_optimum_was_measured_for_every_architecture() -> None:
    for record in OPTIMIZERS.values():
        assert record.optimum is None or set(record.optimum.centres) == set(Architecture)


def test_the_optima_are_those_of_the_table_of_measurements() -> None:
    """Those of the first column; the exponents are slopes from it to the last width measured, but for rounding."""
    header, _, *rows = [line.split("|")[1:-1] for line in str(MeasuredOptimum.__doc__).splitlines() if "|" in line]
    assert header[1].split() == ["base", str(OPTIMA_AT)]
    widths = [OPTIMA_AT, *(int(cell) for cell in header[2:])]
    by_label = {record.label.lower(): record.optimum for record in OPTIMIZERS.values()}
    by_label["adafactor"] = by_label["adafactor with parameter scaling"]
    by_label["muon"] = OPTIMIZERS[Optimizer.MUON_UNIT].optimum
    for row in rows:
        architecture, label = row[0].split("(")[0].strip().lower().split(", ")
        found = by_label[label]
        assert found is not None
        optima = [cell.strip(" ≤") for cell in row[1:]]
        assert found.centres[architecture] == pytest.approx(float(optima[0]), rel=0.05)
        last = max(k for k, optimum in enumerate(optima) if optimum)
        if architecture == "mlp" and last:
            slope = math.log(float(optima[0]) / float(optima[last])) / math.log(widths[last] / OPTIMA_AT)
            assert found.exponent == pytest.approx(slope, abs=0.1)
    assert len(rows) == 2 * len({id(optimum) for optimum in by_label.values() if optimum}) + 1  # Adam-atan2: only MLP


def test_the_vocabulary_offers_the_words_that_are_declared_beside_the_records() -> None:
    assert vocabulary.Optimizer is optimizers.Optimizer
    assert vocabulary.WeightDecayMode is optimizers.WeightDecayMode


def words_named_in(path: Path) -> set[str]:
    """The members of Optimizer that a module names."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Optimizer"
    }


#: What says something of a few optimizers by name, whatever others there are.
OF_A_FEW = {
    "widthwise/advice/evidence.py": "those whose losses are published",
    "widthwise/advice/ranking.py": "those whose losses are published",
    "widthwise/exports/content.py": "torch.optim.SGD's decay, and the optimizer of exports that name none",
    "widthwise/exports/record.py": "those that trainers other than PyTorch have",
    "widthwise/exports/torch_text.py": "those that torch.optim has",
    "widthwise/optax/optimizers.py": "those that optax has, a function for each",
    "widthwise/torch/coordinates.py": "those that PyTorch has, a class for each",
}


def test_adding_one_touches_two_files() -> None:
    """No other module of the three packages has a line for each."""
    files = [path for top in ("widthwise", "service", "workers") for path in (ROOT / top).rglob("*.py")]
    with_lines = {str(path.relative_to(ROOT)) for path in files if len(words_named_in(path)) > 1}
    assert with_lines == {"widthwise/theory/optimizers.py", "workers/engine/optimizers.py", *OF_A_FEW}


def asked(optimizer: str, base: Base, width: int, mode: str | None = None) -> Plan:
    target = Target(width=width)
    return transfer(parameterization="standard", optimizer=optimizer, base=base, target=target, weight_decay_mode=mode)


def hidden(optimizer: str, base: Base, width: int, mode: str | None = None) -> LayerPlan:
    """Standard parameterization, full alignment."""
    return asked(optimizer, base, width, mode).layer("hidden")


@pytest.mark.parametrize(("optimizer", "rate", "epsilon"), [("adafactor", 0.5, 4.0), ("adafactor_unscaled", 0.25, 4.0)])
def test_adafactor_with_and_without_parameter_scaling(optimizer: str, rate: float, epsilon: float) -> None:
    """Standard parameterization, widths 512 to 2048, m = 4.

    A hidden layer of full alignment must change by ΔW z ~ n·ΔW ~ 1, so ΔW ~ 1/n. Without scaling ΔW = η·g/√v ~ η: η ∝
    1/n, ×¼. With it ΔW ~ η·RMS(W), and RMS(W) ~ n^(−½): η ∝ n^(−½), ×½. ε₁ is added to g² in both; at init the
    gradient of a hidden weight is dL/dh·z, and dL/dh ~ RMS(W_out) ~ n^(−½): g² ∝ 1/n would fall. Its exponent is 2g.
    """
    plan = hidden(optimizer, Base(width=512, learning_rate=1e-3, epsilon=1e-30), 2048)
    assert plan.learning_rate.multiplier == pytest.approx(rate)
    assert plan.epsilon is not None
    assert plan.epsilon.multiplier == pytest.approx(1 / epsilon)
    assert plan.epsilon.exponent == 2 * plan.gradient_rms.exponent
    words = "with" if optimizer == "adafactor" else "without"
    assert f"Adafactor {words} parameter scaling" in plan.reason  # so the answer says which it is


def test_lion() -> None:
    """Widths 256 to 1024: a sign is ±1, so ΔW = ±η must be ∝ 1/n, ×¼; nothing to add ε to; ηλ stays, so λ ×4."""
    plan = hidden("lion", Base(width=256, learning_rate=1e-4, weight_decay=1.0), 1024)
    assert plan.learning_rate.multiplier == pytest.approx(0.25)
    assert plan.weight_decay.multiplier == pytest.approx(4)
    assert plan.weight_decay.value == pytest.approx(4.0)
    assert plan.epsilon is None


ADAM_LIKE = ["lion", "nadam", "adamax", "ademamix", "adan", "adafactor_unscaled"]


@pytest.mark.parametrize("optimizer", ADAM_LIKE)
@pytest.mark.parametrize("alignment", ["full", "none"])
@pytest.mark.parametrize("parameterization", ["standard", "ntk", "mup", "mean_field"])
def test_updates_of_size_one_have_the_exponents_of_adam(optimizer: str, alignment: str, parameterization: str) -> None:
    """m̂, or a sign, over a denominator of its own size has entries O(1) whatever the gradient is: ΔW ~ η."""
    adams = largest_stable(parameterization, "adam", alignment)
    assert largest_stable(parameterization, optimizer, alignment) == adams
    assert all(isinstance(exponent, Fraction) for exponent in adams.values())


@pytest.mark.parametrize(
    ("optimizer", "power"), [("lion", 0), ("nadam", 1), ("adamax", 1), ("ademamix", 1), ("adan", 1)]
)
def test_the_epsilon_of_each(optimizer: str, power: int) -> None:
    """Beside √v (NAdam, AdEMAMix, Adan) or the largest |g| (AdaMax), so ∝ RMS(grad); Lion divides by nothing."""
    plan = hidden(optimizer, Base(width=64, learning_rate=1e-3, epsilon=1e-8), 256)
    if power == 0:
        assert plan.epsilon is None
    else:
        assert plan.epsilon is not None
        assert plan.epsilon.multiplier == pytest.approx(plan.gradient_rms.multiplier)


@pytest.mark.parametrize("optimizer", ["nadam", "adamax"])
def test_torch_adds_the_decay_of_nadam_and_adamax_to_the_gradient(optimizer: str) -> None:
    """λW stays at its share of the gradient: λ ∝ RMS(grad)/RMS(W); optax.nadamw's and adamaxw's ηλ stays."""
    base = Base(width=64, learning_rate=1e-3, weight_decay=0.1)
    taken, coupled, decoupled = (hidden(optimizer, base, 256, mode) for mode in (None, "coupled", "decoupled"))
    assert taken.weight_decay == coupled.weight_decay
    share = taken.gradient_rms.multiplier / taken.init_std.multiplier
    assert taken.weight_decay.multiplier == pytest.approx(share)
    assert decoupled.weight_decay.multiplier == pytest.approx(4)


def test_the_answer_says_which_decay_it_took_for_adam() -> None:
    """Widths 256 to 4096, m = 16: decoupled keeps ηλ, so λ ×16. torch.optim.Adam couples: λ ∝ RMS(grad)/RMS(W) =
    n^(−½)/n^(−½) in a hidden layer, so λ ×1: sixteen times less, which nobody should learn from a diverged run."""
    base = Base(width=256, learning_rate=3e-3, weight_decay=0.1)
    plan = asked("adam", base, 4096)
    assert plan.layer("hidden").weight_decay.multiplier == pytest.approx(16)
    assert plan.provenance["weight_decay_mode"] == "decoupled"
    (warning,) = [warning for warning in plan.warnings if warning.code == "decay_assumed"]
    for part in ("'decoupled'", "W ← W − ηλW", "torch.optim.Adam", "'coupled'", "weight_decay_mode"):
        assert part in warning.message
    assert hidden("adam", base, 4096, "coupled").weight_decay.multiplier == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        *((name, "adamw") for name in ("AdamW", "adamw_torch", "adamw_torch_fused", "adamw_8bit", "adamw_bnb_8bit")),
        *((name, "adamw") for name in ("paged_adamw_32bit", "torch.optim.AdamW", "adamw_hf", "PagedAdamW8bit")),
        *((name, "adam") for name in ("fused_adam", "FusedAdam", "DeepSpeedCPUAdam", "Adam", "amsgrad", "rmsprop")),
        *((name, "lion") for name in ("lion_8bit", "paged_lion_32bit", "signum")),
        ("ademamix_8bit", "ademamix"),
        ("nadamw", "nadam"),
        ("torch.optim.SGD", "sgd"),
        ("Adam-atan2", "adam_atan2"),
    ],
)
def test_another_name_is_refused_with_the_word_to_give(name: str, word: str) -> None:
    for field, refused in (
        ("optimizer", lambda: hidden(name, Base(width=64, learning_rate=1), 128)),
        ("optimizer", lambda: largest_stable("mup", name)),
    ):
        with pytest.raises(InvalidInputError, match=f"; give {word!r}") as raised:
            refused()
        assert raised.value.field == field
        assert repr(name) in str(raised.value)


def test_a_name_that_needs_a_decay_mode_is_told_it() -> None:
    for name, mode in (("nadamw", "decoupled"), ("adamaxw", "decoupled"), ("rmsprop", "coupled")):
        with pytest.raises(InvalidInputError, match=f"with weight_decay_mode {mode!r}"):
            hidden(name, Base(width=64, learning_rate=1), 128)


@pytest.mark.parametrize("name", ["lamb", "lars", "kron", "sophia", "galore_adamw", "", "torch"])
def test_what_is_not_of_their_size_is_refused_with_every_word(name: str) -> None:
    """LAMB and LARS step relative to the tensor's norm, the others by its spectrum: no word here is theirs."""
    with pytest.raises(InvalidInputError, match="give one of 'sgd', 'adam', ") as raised:
        hidden(name, Base(width=64, learning_rate=1), 128)
    assert "whose update scales" not in str(raised.value)


def test_the_default_decay_of_each_and_the_words_for_others() -> None:
    """Where implementations differ, the record names one of them and the mode to give for it."""
    assert optimizers.default_decay_modes() == "coupled for sgd, nadam, adamax, else decoupled"
    for record in OPTIMIZERS.values():
        others = {mode.value for mode in WeightDecayMode} - {record.weight_decay_mode.value}
        assert not record.decay_elsewhere or any(f"'{mode}'" in record.decay_elsewhere for mode in others)


def test_scion_keeps_every_learning_rate_without_multipliers() -> None:
    """Its updates have the norms that features need: without multipliers, as it is used, nothing is left to scale."""
    plan = transfer(
        parameterization="mup",
        optimizer="scion",
        form="table_3",
        base=Base(width=256, learning_rate=0.01),
        target=Target(width=4096),
    )
    assert {layer.learning_rate.multiplier for layer in plan.layers} == {1.0}
    assert {layer.epsilon for layer in plan.layers} == {None}


@pytest.mark.parametrize(
    ("word", "left"),
    [
        ("muon_unit", lambda *_: 1.0),
        ("muon_keller", lambda fan_in, fan_out: (fan_out / fan_in) ** 0.5 / max(1, fan_out / fan_in) ** 0.5),
        ("muon_rms", lambda fan_in, fan_out: (fan_out / fan_in) ** 0.5 / max(fan_out, fan_in) ** 0.5),
    ],
)
@pytest.mark.parametrize("base", [(64, 64), (64, 256), (256, 64)])
@pytest.mark.parametrize("target", [(128, 512), (512, 96), (96, 100)])
def test_what_muons_scale_leaves_of_the_spectral_norm(word, left, base, target) -> None:
    """An orthogonal update has spectral norm 1 and needs √(out/in): η is that over the scale which the code applies."""
    tensor = Tensor("w", base, target, fan_in_axes=[0], fan_out_axes=[1], role="hidden")
    plan = transfer(
        parameterization="mup", optimizer=word, base=Base(learning_rate=0.02), target=Target(), tensors=[tensor]
    )
    assert plan.tensor("w").learning_rate.multiplier == pytest.approx(left(*target) / left(*base))
