"""What a page takes for given: the files and names that its reader has before the first block."""

import csv
import itertools
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.cli import bowl
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial


def _losses() -> Iterator[dict[str, float]]:
    """Yield runs whose best learning rate falls with size and with tokens."""
    for width in (128, 256, 512):
        for tokens in (1e9, 4e9):
            best = -8 - 0.5 * math.log2(width / 128) - 0.25 * math.log2(tokens / 1e9)
            for octave in range(-2, 3):
                for seed in range(2):
                    loss = 3.0 + 0.05 * octave**2 + 0.001 * seed
                    place = {"parameters": 12.0 * width**2, "D": tokens, "batch_tokens": 2.0 ** (16 + width // 256)}
                    yield {**place, "learning_rate": 2 ** (round(best) + octave), "seed": seed, "loss": loss}


def _widths() -> Iterator[dict[str, float]]:
    """Yield runs at widths far enough apart to say how the best learning rate goes with width."""
    for width, tokens in itertools.product((128, 512, 2048, 8192), (1e9, 8e9)):
        for octave, seed in itertools.product(range(-15, -5), range(2)):
            loss = 3.0 + 0.05 * (octave + 9 + 0.25 * math.log2(width / 128)) ** 2 + 0.001 * seed
            yield {"width": width, "D": tokens, "learning_rate": 2.0**octave, "seed": seed, "loss": loss}


def _table(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _sweeps(folder: Path) -> dict[str, Any]:
    """Return a training loop and an objective; write tables of runs, an Optuna study and a request."""
    import optuna

    _table(folder / "runs.csv", list(_losses()))
    widths = list(_widths())
    _table(folder / "widths.csv", widths)
    lines = [{"tokens": row.pop("D"), **row} for row in _losses()]
    project = [{"optimizer": "adamw", "eval/loss": line["loss"], **line} for line in lines]
    _table(folder / "project.csv", [{name: row[name] for name in row if name != "loss"} for row in project])
    more = {**widths[0], "seed": 7}
    (folder / "runs.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    (folder / "more.jsonl").write_text(json.dumps(more) + "\n", encoding="utf-8")
    request = {"parameterization": "mup", "optimizer": "adamw", "base": {"width": 256, "learning_rate": 0.002}}
    (folder / "request.json").write_text(json.dumps({**request, "target": {"width": 1024}}), encoding="utf-8")

    def train(width: float, learning_rate: float, seed: int) -> float:
        return 3.0 + 0.05 * (math.log2(learning_rate) + 8 + 0.5 * math.log2(width / 128)) ** 2 + 0.001 * seed

    def objective(trial: Any) -> float:
        return train(trial.suggest_float("width", 1, 1e6), trial.suggest_float("learning_rate", 1e-6, 1), 0)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=f"sqlite:///{folder / 'study.db'}", study_name="width sweep")
    for row in (row for row in _losses() if row["D"] == 1e9 and not row["seed"]):
        values = {"width": (row["parameters"] / 12) ** 0.5, "learning_rate": row["learning_rate"]}
        spaces = {name: optuna.distributions.FloatDistribution(1e-6, 1e6) for name in values}
        study.add_trial(optuna.trial.create_trial(params=values, distributions=spaces, value=row["loss"]))
    return {"train": train, "objective": objective}


def _calibration(folder: Path) -> dict[str, Any]:
    """Return a calibration's specification and its trials."""
    spec = CalibrationSpec.from_dict(bowl.spec())
    trials = [Trial.from_dict({**trial, "status": "completed"}, "trial") for trial in bowl.trials(spec.widths, 0.25)]
    return {"spec": spec, "trials": trials}


def _rules(folder: Path) -> dict[str, Any]:
    """Write the request whose rules are compared."""
    shutil.copy(folder / "examples" / "gpt2_small_to_xl.json", folder / "request.json")
    return {}


#: By page, what writes its files into a folder and returns its names.
GIVEN: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "docs/calibration.md": _calibration,
    "docs/sweeps.md": _sweeps,
    "docs/rules.md": _rules,
}
