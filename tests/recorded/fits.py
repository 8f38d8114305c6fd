"""Outcomes of calibrations that were made up so that every warning of a fit is given at least once.

The outcomes are recorded with the results, so the test needs nothing of this module.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from tests.recorded.asks import specification

Json = dict[str, Any]
Fit = tuple[str, Json, list[Json], list[Json]]  #: name, specification as submitted, trials, measurements

WIDTHS = (64, 128, 256, 512)
EVERYTHING = ["learning_rate", "gamma", "epsilon", "alignment", "coordinates", "horizon"]


def sweep(
    best: Mapping[int, float],
    *,
    centre: float | None = None,
    noise: float = 0.002,
    seeds: int = 3,
    cliff: float = 99.0,
    **more: Any,
) -> list[Json]:
    """Trials around the log2 of each width's best learning rate, or the centre; beyond the cliff they diverge."""
    trials = []
    for width, step, seed in product(best, range(-6, 7), range(seeds)):
        log2_rate = round((best[width] if centre is None else centre) * 2) / 2 + step / 2
        away = log2_rate - best[width]
        own = noise * math.sin(37.0 * width + 11.0 * step + 5.0 * seed + more.get("horizon", 0))
        loss = None if away > cliff else 2.0 + 0.05 * away**2 + own
        status = "diverged" if loss is None else "completed"
        place = {"width": width, "learning_rate": 2.0**log2_rate, "seed": seed}
        trials.append({**place, "role": None, "gamma": 1.0, "horizon": None, "status": status, "loss": loss, **more})
    return trials


def readings(
    kind: str, width: int, seed: int, powers: Mapping[str, Mapping[str, float]], diverged_at: int | None = None
) -> Json:
    """A measurement as the engine makes it: each scalar of each tensor is a power of the width, but for some noise."""
    fans = {"embedding": ("embedding", 256), "first": ("hidden", width), "readout": ("readout", width)}
    snapshots = []
    for step in (0, 10, 20) if kind == "epsilon" else (10, 20) if kind == "alignment" else (0, 1, 4):
        tensors: Json = {}
        for name, sizes in powers.items():
            role, fan_in = fans[name]
            found: Json = {"role": role, "fan_in": fan_in}
            for number, (size, power) in enumerate(sizes.items()):
                if size == "output_change" and step == 0:
                    continue
                if size in ("epsilon", "underflow_share"):
                    found[size] = power
                    continue
                noise = 0.01 * math.sin(7.0 * width + 3.0 * seed + number + step)
                log_size = power * math.log(width) + noise + 0.1 * seed
                found[size] = log_size / math.log(fan_in) if kind == "alignment" else math.exp(log_size)
            tensors[name] = found
        snapshots.append({"step": step, "tensors": tensors})
    seen = [each for each in snapshots if diverged_at is None or each["step"] < diverged_at]
    data = {"learning_rate": 0.01, "steps": 20, "diverged_at": diverged_at, "snapshots": seen}
    return {"width": width, "seed": seed, "kind": kind, "data": data}


def _gradients(hidden: float, **constants: float) -> Json:
    def of(g: float) -> Json:
        return {"gradient_rms": -g, "second_moment_root_typical": -g, "epsilon": 1e-12, "underflow_share": 0.0}

    return {"embedding": of(0.5), "first": {**of(hidden), **constants}, "readout": of(0.0)}


def _alignment(alpha: float, u: float) -> Json:
    each = {"alpha": alpha, "omega": 0.5, "u": u, "log_alignment": 0.5}
    return {"first": each, "readout": each}


def _outputs(hidden: float) -> Json:
    still = {"output": 0.0, "output_change": 0.0}
    return {"embedding": still, "first": {"output": hidden, "output_change": 0.0}, "readout": still}


#: What a model does that is as theory has it (standard, Adam, full alignment).
AS_THEORY = {"epsilon": _gradients(0.5), "alignment": _alignment(1.0, 1.0), "coordinates": _outputs(0.0)}


def _measured(kind: str, powers: Json, widths: tuple[int, ...] = WIDTHS, **more: Any) -> list[Json]:
    return [readings(kind, width, seed, powers, **more) for width, seed in product(widths, range(2))]


def fits() -> Iterator[Fit]:
    """Every fit."""
    spec = specification(widths=list(WIDTHS), seeds=3)
    level = dict.fromkeys(WIDTHS, -8.0)
    yield "level", spec, sweep(level), []
    yield "drift", spec, sweep({width: -8 - 0.5 * math.log2(width / 64) for width in WIDTHS}), []
    yield "shift", spec, sweep({width: -8 - 60 / width for width in WIDTHS}, noise=1e-4), []
    yield "scatter", spec, sweep({64: -8.0, 128: -7.2, 256: -8.9, 512: -7.6}, noise=1e-5), []
    narrow = {width: -8 - 0.5 * math.log2(width / 16) for width in (16, 32, 64)}
    yield "uncertain law", specification(widths=[16, 32, 64], seeds=3), sweep(narrow, noise=0.03), []
    yield "all of a width diverged", spec, [*sweep({64: -8.0, 128: -8.0}), *sweep({256: -8.0}, cliff=-99.0)], []
    yield "one width", spec, sweep({64: -8.0}), []
    yield "holes", spec, [trial for index, trial in enumerate(sweep(level)) if index % 7], []
    yield "cliff", spec, sweep(level, cliff=0.25), []
    untrained = [{**trial, "loss": 7.8} if trial["learning_rate"] > 0.02 else trial for trial in sweep(level)]
    yield "finite divergences", spec, untrained, []
    stopped = [{**trial, "status": "stopped", "loss": None} if trial["loss"] > 2.3 else trial for trial in sweep(level)]
    yield "stopped", spec, stopped, []
    tied = {"architecture": "transformer", "tied": True}
    yield "tied", specification(widths=list(WIDTHS), proxy=tied, seeds=3), sweep(level), []
    yield "global", {**spec, "learning_rate_rule": "global"}, sweep(level), []
    yield from _horizons(spec)
    yield from _measurements(spec)


def _horizons(spec: Json) -> Iterator[Fit]:
    spec = {**spec, "measure": ["learning_rate", "horizon"], "steps": 100, "horizons": [100, 200, 400]}
    plain = sweep(dict.fromkeys(WIDTHS, -8.0))
    branches = {
        horizon: sweep({64: -8.0 - 0.32 * math.log2(horizon / 100)}, centre=-8.0, horizon=horizon)
        for horizon in (100, 200, 400)
    }
    yield "horizons", spec, [*plain, *(trial for each in branches.values() for trial in each)], []
    yield "a horizon without trials", spec, [*plain, *branches[100], *branches[400]], []
    yield "unlike horizons", spec, [*plain, *branches[100], *branches[200], *branches[400][:-3]], []


def _measurements(spec: Json) -> Iterator[Fit]:
    spec = {**spec, "measure": ["epsilon", "alignment", "coordinates"]}
    right = [each for kind, powers in AS_THEORY.items() for each in _measured(kind, powers)]
    yield "as theory", spec, [], right
    yield "one width measured", spec, [], [each for each in right if each["width"] == 64]
    for kind, name, powers in (
        ("epsilon", "other gradients", _gradients(0.9)),
        ("epsilon", "small gradients", _gradients(0.5, epsilon=0.5)),
        ("epsilon", "lost squares", _gradients(0.5, underflow_share=0.02)),
        ("alignment", "less alignment", _alignment(0.75, 0.6)),
        ("alignment", "more than alignment", _alignment(1.3, 1.0)),
        ("coordinates", "outputs that grow", _outputs(0.5)),
        ("coordinates", "outputs that shrink", _outputs(-0.5)),
    ):
        yield name, {**spec, "measure": [kind]}, [], _measured(kind, powers)
    diverged = [
        *_measured("coordinates", _outputs(0.0), WIDTHS[:3]),
        *_measured("coordinates", _outputs(0.0), (512,), diverged_at=4),
    ]
    yield "diverged", {**spec, "measure": ["coordinates"]}, [], diverged
