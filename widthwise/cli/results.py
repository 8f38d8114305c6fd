"""Prints what a calibration measured: each part that the result has."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from widthwise.calibration.spec import DEFAULTS
from widthwise.cli import console
from widthwise.client import Calibration
from widthwise.vocabulary import ExponentQuantity, Measured, SearchEnd

Part = Mapping[str, Any]

THEORYS = ("none", "shift")  # laws with theory's drift
BOUNDS = {"upper_bound": "< ", "lower_bound": "> "}


def show_result(calibration: Calibration) -> None:
    """Print the optima by width, how they move, the exponents next to theory's, and every other part.

    Warnings go to stderr.
    """
    result = calibration["result"]
    if result is None:
        return
    if result.get("optima") or Measured.LEARNING_RATE in calibration["spec"].get("measure", DEFAULTS.measure):
        _show_optima(result.get("optima", ()))
        _show_drift(result)
    if result.get("exponents"):
        show_exponents(result["exponents"], "Measured exponents")
    for kind, show in _TABLES.items():
        if result.get(kind):
            show(result[kind])
    if result.get("search"):
        _show_search(result["search"])
    console.warn(result.get("warnings", ()))


def _show_search(search: Part) -> None:
    """Print why an information search ended, and what it cost."""
    half, reason = search["half_width"], search["ended_by"]
    known = {each.value: each.meaning for each in SearchEnd}
    at = "no interval" if half is None else f"± {half:.2f} octaves"
    console.stdout().print(
        f"The search ended ({known.get(reason, reason)}): {at} at width {search['target_width']}, after "
        f"{search['flops']:.2e} floating-point operations.\n",
        soft_wrap=True,
    )


def show_exponents(exponents: Iterable[Part], title: str) -> None:
    """Print one calibration's measured exponents next to theory's."""
    table = console.new_table("quantity", "role", "exponent", "95 % interval", "theory", "widths", left=2)
    shown = list(exponents)
    for exponent in shown:
        theory = exponent["theory"]
        table.add_row(
            exponent["quantity"].replace("_", " "),
            exponent["role"],
            console.signed(exponent["value"]),
            console.between(exponent["interval"]),
            "–" if theory is None else console.signed(theory),
            ",".join(map(str, exponent["widths"])),
        )
    console.show(f"{title} ({_laws(exponent['quantity'] for exponent in shown)})", table)


def _laws(quantities: Iterable[str]) -> str:
    """Return which quantities are proportional to which power; ones that only a newer service knows are left out."""
    known, by_law = set(quantities), dict[str, list[str]]()
    for quantity in ExponentQuantity:
        if quantity in known:
            by_law.setdefault(quantity.law.replace("value", "exponent"), []).append(quantity.replace("_", " "))
    return "; ".join(f"{', '.join(names)} ∝ {law}" for law, names in by_law.items())


def _show_optima(optima: Iterable[Part]) -> None:
    table = console.new_table("width", "learning rate", "95 % interval", "loss", "trials", "stopped", "diverged")
    for optimum in optima:
        stopped = optimum.get("stopped", 0)
        table.add_row(
            str(optimum["width"]),
            _bounded(optimum, "learning_rate"),
            _range(optimum.get("interval")),
            f"{optimum['loss']:.4f}",
            str(optimum["completed"] + optimum["diverged"] + stopped),
            str(stopped),
            str(optimum["diverged"]),
        )
    console.show("Best base learning rate by width", table)


def _show_drift(result: Part) -> None:
    out, drift = console.stdout(), result["drift"]
    if drift is None:
        out.print(
            "No drift and no exponents: these need an optimum inside the grid at two or more widths.", soft_wrap=True
        )
        return
    if result.get("candidates"):
        _show_candidates(result["candidates"])
    out.print(
        f"Drift: the best base learning rate goes as width^(−d) with d = {console.signed(drift['value'])}, "
        f"95 % interval {console.between(drift['interval'])}; 0 if the theory's multipliers transfer.\n",
        soft_wrap=True,
    )
    raw = result.get("raw_slope")
    if raw is not None and any(law.get("chosen") and law["name"] in THEORYS for law in result.get("candidates", ())):
        slope, error = console.signed(raw["value"]), console.signed(raw["standard_error"])
        out.print(f"Theory, not refuted: the optima alone go as width^({slope} ± {error}).\n", soft_wrap=True)
    for prediction in result.get("predictions", ()):
        out.print(
            f"Expected at width {prediction['width']}: {prediction['learning_rate']:.3g}, "
            f"95 % interval {_range(prediction['interval'])}{_held(prediction)}",
            soft_wrap=True,
        )


def _held(prediction: Part) -> str:
    return ", held below a divergence" if prediction.get("ceiling") is not None else ""


def _show_candidates(candidates: Sequence[Part]) -> None:
    """Print the laws that could describe how the optimum moves, and their errors at widths left out of the fit."""
    table = console.new_table("candidate", "", "off by, octaves", "weight", "degrees of freedom", "parameters", left=2)
    for candidate in candidates:
        missed, weight = candidate.get("out_of_sample_error"), candidate.get("weight")
        parameters = candidate.get("parameters") or {}
        table.add_row(
            candidate["name"],
            "chosen" if candidate.get("chosen") else "",
            "–" if missed is None else f"{missed:.3f}",
            "–" if weight is None else f"{weight:.2f}",
            str(candidate.get("degrees_of_freedom", "–")),
            ", ".join(f"{name.replace('_', ' ')} {console.signed(value)}" for name, value in parameters.items()),
        )
    console.show("How the best base learning rate moves with width (error at a width left out)", table)
    if len(candidates) > 1:
        console.stdout().print(
            "Weight: a candidate's share of the intervals. That of none counts with power, which may have no drift.\n",
            soft_wrap=True,
        )


def _show_gamma(part: Part) -> None:
    table = console.new_table("role", "width", "γ", "95 % interval")
    for optimum in part.get("optima", ()):
        table.add_row(
            optimum["role"],
            str(optimum["width"]),
            _bounded(optimum, "gamma"),
            _range(optimum.get("interval")),
        )
    console.show("Best multiplier γ of the learning rate by role", table)


def _show_epsilon(part: Part) -> None:
    table = console.new_table("role", "width", "gradient RMS", "epsilon at most", "epsilon", "underflow")
    for need in part.get("needs", ()):
        epsilon = need.get("epsilon")
        table.add_row(
            need["role"],
            str(need["width"]),
            console.number(need.get("gradient_rms")),
            console.number(need.get("largest_epsilon")),
            "–" if epsilon is None else f"{epsilon:.3g}",
            f"{need.get('underflow_share', 0.0):.1%}",
        )
    console.show("Gradients, and the epsilon that they allow", table)


def _show_coordinates(part: Part) -> None:
    out = console.stdout()
    out.print(f"[bold]Coordinate check[/]: {part['outcome']}", soft_wrap=True)
    for remark in (*part.get("reasons", ()), *part.get("notes", ())):
        out.print(f"  {remark}", soft_wrap=True, markup=False)
    table = console.new_table("layer", "size", "step", "slope", "95 % interval", "expected", "outcome", left=2)
    for judged in part.get("judgements", ()):
        table.add_row(
            judged["layer"],
            judged["size"].replace("_", " "),
            "all" if judged["step"] is None else str(judged["step"]),
            console.signed(judged["slope"]["value"]),
            console.between(judged["slope"]["interval"]),
            console.signed(judged["expected"]),
            judged["outcome"],
        )
    console.show("Size of each layer's output over width (size ∝ width^slope)", table)


def _show_horizon(part: Part) -> None:
    table = console.new_table("steps", "tokens", "learning rate", "95 % interval", "loss", left=0)
    for optimum in part.get("optima", ()):
        table.add_row(
            str(optimum["steps"]),
            str(optimum["tokens"]),
            _bounded(optimum, "learning_rate"),
            _range(optimum.get("interval")),
            f"{optimum['loss']:.4f}",
        )
    console.show("Best base learning rate by horizon", table)
    exponent = part.get("exponent")
    if exponent is not None:
        console.stdout().print(
            f"The best learning rate goes as tokens^(−h) with h = {console.signed(exponent['value'])}, "
            f"95 % interval {console.between(exponent['interval'])}.\n",
            soft_wrap=True,
        )


def show_comparison(comparison: Part) -> None:
    """Print which of specification, code and device differ between two calibrations, and how their losses differ."""
    words = {True: "the same", False: "different", None: "not known"}
    table = console.new_table("what", "", "this", "other", left=4)
    for name in ("specification", "code", "device"):
        table.add_row(name, words[comparison[name]["same"]], "", "")
        for difference in comparison[name].get("differences", ()):
            table.add_row(f"  {difference['key']}", "", _shown(difference["this"]), _shown(difference["other"]))
    console.show(f"{comparison['this']} compared with {comparison['other']}", table)
    trials = comparison["trials"]
    gap = trials["largest_difference"]
    largest = "" if gap is None else f"; the largest difference of two losses is {gap:.3g} nats"
    console.stdout().print(
        f"Trials in both: {trials['common']}, of which {trials['equal']} are equal and {trials['different']} differ"
        f"{largest}.",
        soft_wrap=True,
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)


def _bounded(optimum: Part, name: str) -> str:
    """Return the best value, or what bounds it; results stored before bounds were have only the edge of the grid."""
    side = BOUNDS.get(optimum.get("kind", ""))
    if side is None:
        return f"{optimum[name]:.3g}"
    bound = optimum.get("bound")
    return f"edge, {optimum[name]:.3g}" if bound is None else f"{side}{bound:.3g}"


def _range(interval: Any) -> str:
    return "–" if interval is None else f"{interval[0]:.3g} to {interval[1]:.3g}"


#: The tables of what is measured; exponents, alignment among them, share one.
_TABLES: Mapping[Measured, Callable[[Part], None]] = {
    Measured.GAMMA: _show_gamma,
    Measured.EPSILON: _show_epsilon,
    Measured.COORDINATES: _show_coordinates,
    Measured.HORIZON: _show_horizon,
}
