"""Thinking Machines' rule for LoRA (thinking-machines-lab/tinker-cookbook, tinker_cookbook/hyperparam_utils.py)."""

from widthwise.laws.law import Place, PublishedLaw, number

EXPONENTS = {"llama": 0.781, "qwen": 0.0775}  # over the width; other families have none
FULL, LORA = 5e-5, 10.0  # the rate of full fine-tuning at width 2,000, and what LoRA multiplies it by


def family(place: Place) -> str | None:
    """Return the family of a place's model, if it has one of those known."""
    name = str(place.get("model", "")).rpartition("/")[2].lower()
    return next((known for known in EXPONENTS if name.startswith(known)), None)


def _rate(place: Place) -> float:
    return float(FULL * LORA * (2000 / number(place, "width")) ** EXPONENTS[family(place) or "llama"])


TINKER = PublishedLaw(
    name="tinker_lora",
    title="Tinker's LoRA rule",
    source="thinking-machines-lab/tinker-cookbook, tinker_cookbook/hyperparam_utils.py",
    formula="5e-5·10·(2000/d)^p (d width; p 0.781 for Llama, 0.0775 for Qwen)",
    setting="Adam, LoRA with alpha 32 at any rank, 780 steps of 128 conversations",
    needs=("width", "model", "rank"),
    rate=_rate,
    optimizers=("adam", "adamw"),
    kind="both",
    fine_tuning=True,
    families=tuple(EXPONENTS),
)
