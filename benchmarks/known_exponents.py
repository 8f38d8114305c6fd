"""Do the intervals of the exponents over tokens and by role hold the truth, where it is known and optima scatter?

    python -m benchmarks.known_exponents

Synthetic runs with the curve of `benchmarks.known_truth`, through `fit_horizon` and `fit_gamma`. Horizons double, and
the best learning rate goes as tokens^(−h) from a level of each width. Of γ, the best learning rate of each role goes as
a known law over width, and its γ is swept at the best base learning rate. The optimum of every curve scatters about its
law: not at all, and by 0.1 and 0.2 octave, as on public sweeps. Beside each stands the interval of the plain power law
through the same optima with the same errors, which knows of no scatter.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.known_truth import BASE, CENTRE, COMMON, RISE, SCATTERS
from benchmarks.record import arguments, write_result
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate import fit_power_law
from widthwise.estimate.intervals import moderated_errors
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.parts.gamma import GAMMAS, GammaResult, fit_gamma, gamma_learning_rate
from widthwise.estimate.parts.horizon import HorizonResult, fit_horizon
from widthwise.estimate.skew import unshared_errors
from widthwise.estimate.widths import WidthOptimum, fit_optima
from widthwise.vocabulary import Role, TrialStatus

SEEDS, NOISE = 3, 0.003  # nats, of one run
SHORTEST = 100  # steps
RATES = np.arange(-4.0, 4.01, 0.5)  # octaves around the law's optimum at the shortest horizon or of the width
EXPONENTS = (0.0, 0.1, 0.32, 0.5)  # over tokens, at random
FACTORS = (*GAMMAS[:2], 1.0, *GAMMAS[2:])
ROLES = (Role.EMBEDDING, Role.HIDDEN, Role.READOUT)

Interval = tuple[float, float]
Answer = tuple[float, Interval, float, Interval | None]  #: truth, interval, value, interval of the plain power law


@dataclass(frozen=True)
class Horizons:
    """Sweeps of several training lengths at one or more widths."""

    name: str
    widths: int = 1
    horizons: int = 3

    def answers(self, scatter: float, rng: np.random.Generator) -> Iterator[Answer]:
        """Return what one calibration says of its exponent."""
        truth, steps = float(rng.choice(EXPONENTS)), [SHORTEST * 2**k for k in range(self.horizons)]
        widths = [BASE * 2**index for index in range(self.widths)]
        trials = []
        for width in widths:
            level, common_LxS = CENTRE + rng.normal(), rng.standard_normal((RATES.size, SEEDS))
            rate_L = level + RATES + rng.uniform(-0.25, 0.25)
            for k, horizon in enumerate(steps):
                best = level - truth * k + scatter * rng.standard_normal()
                own_LxS = rng.standard_normal(common_LxS.shape)
                losses = _curve(rate_L - best) + NOISE * (own_LxS + common_LxS) / math.sqrt(2)
                trials += _trials(width, rate_L, losses, horizon=horizon)
        spec = _spec(widths, measure=["horizon"], steps=steps[-1], horizons=steps)
        result = fit_horizon(spec, trials)
        if result is not None and result.law is not None and result.law.interval is not None:
            yield truth, result.law.interval, result.law.value, self._plain(result)

    def _plain(self, result: HorizonResult) -> Interval | None:
        if self.widths > 1:
            return None
        optima = [entry.interior for entry in result.optima]
        tokens = [entry.tokens for entry, optimum in zip(result.optima, optima, strict=True) if optimum is not None]
        return _plain(tokens, [optimum for optimum in optima if optimum is not None])


@dataclass(frozen=True)
class Gammas:
    """Sweeps of every role's γ at several widths."""

    name: str
    widths: int = 4
    drift: float = 0.0  #: of each role's best learning rate, beyond theory
    shift: float = 0.0  #: κ: octaves between its optimum at the base width and at infinite width

    def answers(self, scatter: float, rng: np.random.Generator) -> Iterator[Answer]:
        """Return what one calibration says of the exponent of each role."""
        widths, trials = [BASE * 2**index for index in range(self.widths)], []
        for width in widths:
            law = CENTRE - self.drift * math.log2(width / BASE) + self.shift * (1 - BASE / width)
            best = {role: law + scatter * rng.standard_normal() for role in ROLES}
            rate_L = law + RATES + rng.uniform(-0.25, 0.25)
            trials += _trials(width, rate_L, sum(_curve(rate_L - best[role]) for role in ROLES) + _noise(rate_L, rng))
            base = gamma_learning_rate(fit_optima([trial for trial in trials if trial.width == width]), width)
            if base is None:
                return
            for role in ROLES:
                gamma_L = np.log2(FACTORS)
                others = sum(_curve(np.log2(base) - best[each]) for each in ROLES if each is not role)
                losses = _curve(np.log2(base) + gamma_L - best[role]) + others + _noise(gamma_L, rng)
                trials += _trials(width, np.full(gamma_L.size, np.log2(base)), losses, role=role, gammas=FACTORS)
        optima = fit_optima([trial for trial in trials if trial.role is None])
        result = fit_gamma(_spec(widths, measure=["learning_rate", "gamma"]), trials, optima)
        if result is None:
            return
        for found in result.exponents:
            if found.interval is not None and found.theory is not None:
                yield found.theory + self.drift, found.interval, found.value, self._plain(result, found, optima)

    def _plain(self, result: GammaResult, found: Any, optima: Sequence[WidthOptimum]) -> Interval | None:
        swept = [each for each in result.gammas if each.role.value == found.role.value and each.width in found.widths]
        base = {entry.width: entry.optimum for entry in optima}
        best = [each.optimum for each in swept if each.optimum is not None]
        errors = [optimum.standard_error or 0.0 for each in swept if (optimum := base[each.width]) is not None]
        levels = [math.log2(each.learning_rate) for each in swept]
        low, high = _plain(found.widths, best, levels, errors) or (-math.inf, math.inf)
        return found.theory + low, found.theory + high


SCENARIOS: tuple[Horizons | Gammas, ...] = (
    Horizons("tokens, 3 horizons"),
    Horizons("tokens, 4 horizons", horizons=4),
    Horizons("tokens, 3 horizons at 2 widths", widths=2),
    Gammas("roles, 3 widths, no drift", widths=3),
    Gammas("roles, 4 widths, no drift"),
    Gammas("roles, 3 widths, drift +0.3", widths=3, drift=0.3),
    Gammas("roles, 4 widths, drift +0.3", drift=0.3),
    Gammas("roles, 4 widths, shift ½", shift=0.5),
)


def _curve(u: Any) -> Any:
    """Nats above the best loss, u octaves above its learning rate."""
    return RISE * (np.exp(u) - 1 - u)[..., None]


def _noise(rate_L: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return NOISE * (rng.standard_normal((rate_L.size, SEEDS)) + COMMON * rng.standard_normal(SEEDS))


def _trials(
    width: int, rate_L: np.ndarray, losses: np.ndarray, *, gammas: Sequence[float] = (), **place: Any
) -> list[Trial]:
    """Return completed runs; one that lost more than 4 nats against the best diverged."""
    return [
        Trial(
            width=width,
            learning_rate=float(2.0 ** rate_L[i]),
            seed=seed,
            status=TrialStatus.COMPLETED if losses[i, seed] < 4 else TrialStatus.DIVERGED,
            loss=2 + float(losses[i, seed]) if losses[i, seed] < 4 else None,
            gamma=gammas[i] if gammas else 1.0,
            **place,
        )
        for i in range(rate_L.size)
        for seed in range(SEEDS)
    ]


def _spec(widths: Sequence[int], **asked: Any) -> CalibrationSpec:
    return CalibrationSpec.from_dict(
        {"parameterization": "standard", "optimizer": "adam", "widths": list(widths), "epsilon": 1e-12, **asked}
    )


def _plain(
    places: Sequence[int], optima: Sequence[Optimum], levels: Sequence[float] = (), errors: Sequence[float] = ()
) -> Interval | None:
    """Return the interval of −slope of the power law through optima, to which `levels` and their `errors` are added."""
    own, _ = unshared_errors(
        optima, moderated_errors([each.own_error for each in optima], [each.degrees_of_freedom for each in optima])
    )
    y = np.array([each.log2_learning_rate for each in optima]) + (np.array(levels) if levels else 0.0)
    interval = fit_power_law(places, y, np.hypot(own, errors if errors else 0.0)).interval
    return None if interval is None else (-interval[1], -interval[0])


def _measured(scenario: Horizons | Gammas, draws: int) -> dict[str, Any]:
    """Return coverage and width by scatter."""
    row: dict[str, Any] = {"scenario": scenario.name}
    for scatter in SCATTERS:
        rng = np.random.default_rng([SCENARIOS.index(scenario), round(100 * scatter)])
        found = [answer for _ in range(draws) for answer in scenario.answers(scatter, rng)]
        plain = [(truth, interval) for truth, _, _, interval in found if interval is not None]
        row[str(scatter)] = {
            "intervals": len(found),
            "covered": float(np.mean([low <= truth <= high for truth, (low, high), _, _ in found])),
            "width": float(np.mean([high - low for _, (low, high), _, _ in found])),
            "error": float(np.sqrt(np.mean([(value - truth) ** 2 for truth, _, value, _ in found]))),
            "plain_covered": float(np.mean([low <= truth <= high for truth, (low, high) in plain])) if plain else None,
        }
    return row


def _page(rows: Sequence[Mapping[str, Any]], draws: int) -> list[str]:
    def share(key: str, kind: str, scatter: float) -> str:
        picked = [row[str(scatter)] for row in rows if row["scenario"].startswith(kind)]
        known = [one for one in picked if one[key] is not None]
        return f"{sum(one[key] * one['intervals'] for one in known) / sum(one['intervals'] for one in known):.1%}"

    lines = [
        f"{draws} synthetic calibrations of each scenario and scatter, with {SEEDS} seeds, noise of {NOISE} nats and "
        "learning rates half an octave apart (γ: an octave). A γ calibration has an exponent for each of three roles. "
        "How often the 95 % interval holds the true exponent, and how often that of the plain power law through the "
        "same optima does:",
        "",
        "| | " + " | ".join(f"scatter {scatter}" for scatter in SCATTERS) + " |",
        "|---|" + "---|" * len(SCATTERS),
    ]
    for kind in ("tokens", "roles"):
        for key, name in (("covered", ""), ("plain_covered", ", plain power law")):
            lines.append(f"| {kind}{name} | " + " | ".join(share(key, kind, scatter) for scatter in SCATTERS) + " |")
    lines += [
        "",
        "By scenario, at scatter " + ", ".join(map(str, SCATTERS)) + ":",
        "",
        "| scenario | covered | plain power law | mean width of the interval | error of the value |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        at = [row[str(scatter)] for scatter in SCATTERS]
        plain = ["–" if one["plain_covered"] is None else f"{one['plain_covered']:.0%}" for one in at]
        columns = [
            [f"{one['covered']:.0%}" for one in at],
            plain,
            [f"{one['width']:.2f}" for one in at],
            [f"{one['error']:.3f}" for one in at],
        ]
        lines.append(f"| {row['scenario']} | " + " | ".join(", ".join(column) for column in columns) + " |")
    lines += [
        "",
        "Half of the prior says that optima lie on the law exactly, half that they scatter. Three or four optima can't "
        "tell, so intervals are wider than need be where nothing scatters.",
    ]
    return lines


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--draws", type=int, default=50)
    options = parser.parse_args()
    rows = []
    for scenario in SCENARIOS:
        begun = time.process_time()
        rows.append(_measured(scenario, options.draws))
        print(f"{scenario.name}: {time.process_time() - begun:.0f} s", flush=True)
    lines, data = _page(rows, options.draws), {"draws": options.draws, "scenarios": rows}
    write_result("known_exponents", "Known exponents over tokens and by role", lines, data, options)


if __name__ == "__main__":
    main()
