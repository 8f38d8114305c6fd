"""The chosen law over width in words: what was chosen, why, and what the optima say without it."""

from collections.abc import Mapping

from widthwise.estimate.calibration import CalibrationResult
from widthwise.estimate.candidate import Name
from widthwise.estimate.candidates import Candidates

NAMES: Mapping[Name, str] = {"none": "theory, no shift", "shift": "shift in 1/width", "power": "power of width"}


def standing(laws: Candidates) -> str:
    """Return whether the exponent was measured, or is theory's: not refuted, or not tested by a lone optimum."""
    if laws.widths == 1:
        return "untested"
    return "measured" if laws.chosen.name == "power" else "not_refuted"


def chosen_in_words(result: CalibrationResult) -> str:
    """Return the chosen law, and why it was chosen, in a sentence with the raw slope and its error."""
    laws = result.candidates
    if laws is None:
        return "No width has an optimum inside its grid"
    if laws.widths == 1:
        return f"{laws.widths} of {len(result.optima)} widths have an optimum inside their grid: theory's law, untested"
    law = result.power_law
    raw = "" if law is None else f"the optima alone go as width^({law.slope:+.2f} ± {law.standard_error:.2f})"
    return "; ".join(part for part in (f"Chosen: {NAMES[laws.chosen.name]}{_why(laws)}", raw) if part)


def _why(laws: Candidates) -> str:
    """Return the reason of the choice, which follows the name of the law."""
    chosen, missed = laws.chosen.name, {each.name: each.out_of_sample_error or 0.0 for each in laws.all}
    refuted = {"none": ", not refuted", "shift": ", with theory's exponent, not refuted", "power": ""}[chosen]
    if laws.widths == 2:  # none can be left out
        apart = "more" if chosen == "power" else "no more"
        return f"{refuted}, as the two optima differ by {apart} than twice the error of their difference"
    beside = f"by theory: {missed['none']:.2f}"
    if chosen == "none":
        other = min((name for name in missed if name != "none"), key=missed.__getitem__)
        beside = f"by the {NAMES[other]}: {missed[other]:.2f}, not better by more than noise"
    return f"{refuted}, as widths left out are missed by {missed[chosen]:.2f} octaves ({beside})"
