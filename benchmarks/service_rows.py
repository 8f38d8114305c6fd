"""Rows as years of use would leave them: calibrations and exponents of many owners, shards that wait or have ended.

What is drawn is drawn from a fixed seed. Frequencies are chosen so that some filters match most rows and some few, and
so that pairs of common filters match few rows, none, or none but the oldest: what makes an index hard to choose.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from widthwise.vocabulary import ExponentQuantity

START = datetime(2026, 1, 1, tzinfo=UTC)
APART = timedelta(minutes=5)  # between two calibrations (chosen)

PARAMETERIZATIONS = {"standard": 45, "mup": 35, "ntk": 17, "mean_field": 3}
OPTIMIZERS = {"adam": 35, "adamw": 35, "sgd": 15, "adafactor": 10, "adam_atan2": 4, "adam_parameter_scaling": 1}
ALIGNMENTS = {"full": 60, "none": 25, "measured": 15}
ARCHITECTURES = {"transformer": 75, "mlp": 25}
DATASETS = {"python_docs": 60, **{f"corpus_{number}": 9 - number for number in range(9)}}

MANY, FEW = "many", "few"  #: owners of 30 % and of FEW_CALIBRATIONS
OTHERS = 300  # other owners, some with a hundred times more than others
FEW_CALIBRATIONS = 5
RARE_CALIBRATIONS = 20  # of the dataset rare_corpus, spread over all the time
OLD_SHARE = 0.1  # of the time, at its beginning, in which old_books was used; mean_field with measured in a tenth of it

ROLES = ("embedding", "hidden", "readout", "vector")
QUANTITIES = (ExponentQuantity.LEARNING_RATE.value, ExponentQuantity.EPSILON.value)
ROWS_EACH = len(ROLES) * len(QUANTITIES)  # exponents of one calibration
RARE_ROLE = 1000  # one calibration in so many has a role "scalar" instead of "vector"

ENVIRONMENT = {
    "device": "cpu",
    "device_kind": "cpu",
    "platform": "Linux-6.1-x86_64",
    "versions": {"jax": "0.10.2", "jaxlib": "0.10.2", "numpy": "2.2.6", "optax": "0.2.6", "python": "3.11.2"},
    "code_sha256": "c" * 64,
}


def specification(**words: str) -> dict[str, Any]:
    """The specification of a calibration of usual size."""
    return {
        "parameterization": words.get("parameterization", "standard"),
        "optimizer": words.get("optimizer", "adam"),
        "alignment": words.get("alignment", "full"),
        "readout_omega": 0.5,
        "form": "table_9",
        "epsilon": 1e-12,
        "widths": [64, 128, 256, 512],
        "seeds": 3,
        "steps": 300,
        "learning_rates": [2.0**power for power in range(-14, -4)],
        "search": "grid",
        "proxy": {
            "architecture": words.get("architecture", "transformer"),
            "depth": 2,
            "head_dim": 16,
            "sequence_length": 64,
            "batch_size": 32,
            "dataset": words.get("dataset", "python_docs"),
        },
        "measure": ["learning_rate"],
        "runner": "worker",
    }


def drawn_words(count: int, seed: int = 1) -> Iterator[dict[str, str]]:
    """Draw owner and family of so many calibrations, oldest first."""
    draw = random.Random(seed)  # noqa: S311  rows of a benchmark, not secrets

    def one(frequencies: dict[str, int]) -> str:
        return draw.choices(list(frequencies), list(frequencies.values()))[0]

    few = {(2 * number + 1) * count // (2 * FEW_CALIBRATIONS) for number in range(FEW_CALIBRATIONS)}
    rare = {(2 * number + 1) * count // (2 * RARE_CALIBRATIONS) + 1 for number in range(RARE_CALIBRATIONS)}
    for number in range(count):
        other = f"owner_{int(OTHERS * draw.random() ** 3)}"
        words = {
            "owner": FEW if number in few else MANY if draw.random() < 0.3 else other,
            "parameterization": one(PARAMETERIZATIONS),
            "optimizer": one(OPTIMIZERS),
            "alignment": one(ALIGNMENTS),
            "architecture": one(ARCHITECTURES),
            "dataset": "rare_corpus" if number in rare else one(DATASETS),
        }
        if number < OLD_SHARE * count and draw.random() < 0.1:
            words["dataset"] = "old_books"
        if words["alignment"] == "none" and words["optimizer"] == "adafactor":
            words["alignment"] = "full"  # both are common, and no row has both
        if words["alignment"] == "measured" and words["parameterization"] == "mean_field":
            words["alignment"] = "measured" if number < 0.1 * OLD_SHARE * count else "full"
        yield words


def calibration_rows(words: list[dict[str, str]], state: str = "succeeded") -> Iterator[dict[str, Any]]:
    """Rows of the table of calibrations."""
    for number, one in enumerate(words):
        moment = START + number * APART
        yield {
            "id": f"cal_{number:024x}",
            "created_at": moment,
            "state": state,
            "runner": "worker",
            "spec": specification(**one),
            "spec_digest": f"{number:064x}",
            "owner": one["owner"],
            "trials_total": 120,
            "last_event": 0,
        }


def exponent_rows(words: list[dict[str, str]], families: dict[tuple[str, ...], int]) -> Iterator[dict[str, Any]]:
    """Rows of the table of exponents; families: the id of each by its words, in the order of `family_words`."""
    for number, one in enumerate(words):
        provenance = {
            "spec_sha256": f"{number:064x}",
            "runner": "worker",
            "code_sha256": ["c" * 64],
            "environments": [ENVIRONMENT],
        }
        moment = START + number * APART + timedelta(minutes=4)
        for place in range(ROWS_EACH):
            role = ROLES[place % len(ROLES)]
            index = number * ROWS_EACH + place
            yield {
                # as in service, no order: the digits are random
                "id": f"exp_{(index * 0x9E3779B97F4A7C15F39CC060) % (1 << 96):024x}",
                "calibration_id": f"cal_{number:024x}",
                "family_id": families[family_words(one)],
                "owner": one["owner"],
                "created_at": moment + timedelta(milliseconds=place),
                "quantity": QUANTITIES[place // len(ROLES)],
                "role": "scalar" if role == "vector" and number % RARE_ROLE == 0 else role,
                "value": 0.5,
                "standard_error": 0.05,
                "interval_low": 0.4,
                "interval_high": 0.6,
                "degrees_of_freedom": 3,
                "theory": 0.5,
                "widths": [64, 128, 256, 512],
                "provenance": provenance,
            }


def family_words(words: dict[str, str]) -> tuple[str, ...]:
    """The words of a family, in the order of its columns."""
    names = ("parameterization", "optimizer", "alignment", "architecture", "dataset")
    return (*(words[name] for name in names), "calibration")


def shard_rows(calibrations: int, each: int, state: str, first: int = 0) -> Iterator[dict[str, Any]]:
    """Rows of the table of shards, as many of each calibration, in one state."""
    for number in range(first, first + calibrations):
        moment = START + number * APART
        for position in range(each):
            yield {
                "id": f"shd_{number * each + position:024x}",
                "calibration_id": f"cal_{number:024x}",
                "created_at": moment,
                "position": position,
                "spec": {
                    "kind": "sweep",
                    "width": 512 >> position % 4,
                    "learning_rates": [2.0**power for power in range(-14, -4)],
                    "seeds": [position // 4],
                    "role": None,
                    "gammas": [],
                    "horizons": [],
                    "measure": [],
                },
                "state": state,
                "attempts": 0 if state == "queued" else 1,
                "epoch": 0 if state == "queued" else 1,
                "queued_at": moment,
                "published_at": None,
            }
