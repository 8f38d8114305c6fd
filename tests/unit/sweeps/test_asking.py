"""Asking for the next run and telling how it ended: leases, repeats, crashes and the end of a sweep."""

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import widthwise
from tests.unit.sweeps.simulated import NOISE, curve
from widthwise.errors import EstimateError, InvalidInputError
from widthwise.sweeps import AskedRun, Sweep, runs_from_rows

WIDTHS = (64, 128, 256)
SLOPE, LEVEL = -0.7, -8.0


def trained(run: AskedRun, seed: int = 0, scatter: float = 0.1) -> float | None:
    """Return the loss of a run under a known law; None where it diverges."""
    width = float(run.axes["width"])
    optimum = LEVEL + SLOPE * math.log2(width / 64) + scatter * np.random.default_rng(int(width) + seed).normal()
    rise = curve(math.log2(run.learning_rate) - optimum)
    noise = NOISE * np.random.default_rng([seed, run.number]).normal()
    return None if rise > 0.4 else float(2.5 + rise + noise)


def sweep(path: Path | None = None, **options: Any) -> Sweep:
    defaults: dict[str, Any] = {
        "axes": {"width": WIDTHS},
        "learning_rates": (2.0**-14, 2.0**-3),
        "ratio": 2**0.5,
        "target": {"width": 1024},
    }
    return Sweep(**{**defaults, **options}, path=path)


def finish(asked: Sweep, train: Callable[[AskedRun], float | None] = trained) -> int:
    """Run a sweep to its end and return how many runs it took."""
    count = 0
    while not asked.done:
        for run in asked.ask(3):
            asked.tell(run, train(run))
            count += 1
        assert count < 100
    return count


def test_the_package_offers_it_without_loading_it() -> None:
    assert widthwise.Sweep is Sweep


def test_a_third_of_the_grid_predicts_the_target() -> None:
    asked = sweep()
    count = finish(asked)
    truth = 2.0 ** (LEVEL + SLOPE * math.log2(1024 / 64))
    found = asked.predict()
    assert count <= len(WIDTHS) * 23 / 3
    assert found.interval[0] < truth < found.interval[1]
    assert abs(math.log2(found.learning_rate / truth)) < 0.5


def test_a_worker_has_its_runs_again_after_a_crash(tmp_path: Path) -> None:
    first = sweep(tmp_path / "sweep.jsonl")
    mine = first.ask(2, "a")
    others = first.ask(2, "b")
    assert not {run.number for run in mine} & {run.number for run in others}
    again = sweep(tmp_path / "sweep.jsonl")
    assert again.ask(2, "a") == mine
    again.tell(mine[0], trained(mine[0]))
    assert again.ask(2, "a")[0] == mine[1]
    assert first.ask(1, "b") == others[:1]  # the first process sees what the second wrote


def test_an_expired_lease_is_asked_again(tmp_path: Path) -> None:
    now = [0.0]
    asked = sweep(tmp_path / "sweep.jsonl", clock=lambda: now[0], lease_seconds=10)
    (mine,) = asked.ask(1, "a")
    assert asked.ask(1, "b") != [mine]
    now[0] = 9.0
    asked.report(mine, 1, 3.0)  # renews it
    now[0] = 15.0
    assert mine not in asked.ask(2, "c")
    now[0] = 20.0
    assert asked.ask(2, "d")[0] == mine
    asked.tell(mine, 2.5)  # the first worker comes back late: its loss counts
    assert len(asked.runs) == 1


def test_telling_twice_is_once_and_a_contradiction_is_refused() -> None:
    asked = sweep()
    (run,) = asked.ask()
    asked.tell(run, 2.5)
    asked.tell(run.number, 2.5)
    with pytest.raises(InvalidInputError, match=r"run 0 has the loss 2\.5, and now 2\.6"):
        asked.tell(run, 2.6)
    with pytest.raises(InvalidInputError, match="not a run of this sweep"):
        asked.tell(99, 2.5)


@pytest.mark.parametrize("loss", [None, math.nan, math.inf])
def test_a_divergence_moves_the_next_run_down(loss: float | None) -> None:
    asked = sweep()
    (first,) = asked.ask()
    asked.tell(first, loss)
    with pytest.raises(EstimateError, match="none of the 1 runs"):
        asked.predict()
    (second,) = asked.ask()
    assert second.learning_rate < first.learning_rate
    assert not asked.runs[0].loss


def test_everything_diverges_until_nothing_is_left() -> None:
    asked = sweep(axes={"width": [64]})
    count = finish(asked, lambda _: None)
    assert asked.done == "nothing_left"
    assert count < 23


def test_the_target_may_be_a_cell() -> None:
    asked = sweep(axes={"width": [64, 128]}, target={"width": 128}, precision=0.7)
    finish(asked)
    own = next(optimum for optimum in asked.fit().optima if optimum.axes["width"] == 128)
    assert asked.predict().learning_rate == own.learning_rate
    assert asked.done == "precision"


def test_a_run_that_failed_is_given_up() -> None:
    asked = sweep()
    (first,) = asked.ask()
    asked.drop(first)
    assert asked.ask() != [first]
    asked.tell(first, 2.5)  # it ended after all
    assert len(asked.runs) == 1


def test_processes_take_turns(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from widthwise.sweeps.journal import Journal\n"
        "journal, folder, count = Journal(sys.argv[1]), Path(sys.argv[1]).parent, 0\n"
        "(folder / sys.argv[2]).touch()\n"
        "while not ((folder / 'a').exists() and (folder / 'b').exists()): time.sleep(0.01)\n"
        "for _ in range(20):\n"
        "    with journal.locked() as news:\n"
        "        count += len(news)\n"
        "        time.sleep(0.01)\n"
        "        journal.append([{'number': count}])\n"
        "        count += 1"
    )
    path = tmp_path / "events.jsonl"
    workers = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "ab"]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == list(range(40))


def test_two_sweeps_on_a_path_never_ask_the_same(tmp_path: Path) -> None:
    one, other = sweep(tmp_path / "sweep.jsonl"), sweep(tmp_path / "sweep.jsonl")
    asked = [run for _ in range(2) for worker, name in ((one, "a"), (other, "b")) for run in worker.ask(4, name)]
    assert len({(run.axes["width"], run.learning_rate) for run in asked}) == len({run.number for run in asked}) == 8


def test_a_copy_works_on_the_same_path(tmp_path: Path) -> None:
    asked = sweep(tmp_path / "sweep.jsonl")
    copy = pickle.loads(pickle.dumps(asked))  # noqa: S301  # its own bytes
    (run,) = copy.ask()
    copy.tell(run, 2.5)
    assert len(asked.runs) == 1


class Service:
    """Stands for the service: keeps what it is sent."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.rows: list[Mapping[str, Any]] = []

    def create_sweep(
        self, name: str, rows: Sequence[Mapping[str, Any]] = (), *, idempotency_key: str | None = None, **settings: Any
    ) -> Mapping[str, Any]:
        self.made.append({"name": name, "rows": rows, "key": idempotency_key, **settings})
        return {"id": "swp_1"}

    def add_runs(self, sweep_id: str, rows: Sequence[Mapping[str, Any]]) -> object:
        assert sweep_id == "swp_1"
        self.rows += rows
        return None


def test_the_service_has_each_run_once(tmp_path: Path) -> None:
    service = Service()
    places = {"width": [64], "optimizer": ["adam", "muon"], "experts": [8]}
    target = {"width": 128, "optimizer": "adam", "experts": 8}
    asked = sweep(tmp_path / "sweep.jsonl", axes=places, target=target, prescribed=["width"])
    runs = asked.ask(3)
    asked.tell(runs[0], 2.5)
    asked.tell(runs[1], None)
    assert asked.upload(service, "mine") == "swp_1"
    asked.tell(runs[2], 2.6)
    again = sweep(tmp_path / "sweep.jsonl", axes=places, target=target, prescribed=["width"])
    again.upload(service, "mine")
    again.upload(service, "mine")
    (made,) = service.made
    assert made["key"]
    settings = {name: made[name] for name in ("columns", "groups", "without", "prescribed")}
    settings.pop("prescribed")
    assert runs_from_rows(service.rows, **settings) == again.runs


def test_a_line_cut_short_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    asked = sweep(path)
    (run,) = asked.ask()
    asked.tell(run, 2.5)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event":"told","ru')
    again = sweep(path)
    assert len(again.runs) == 1
    (other,) = again.ask()
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()][-1] == "asked"
    assert other.number == 1


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello\n")
    with pytest.raises(InvalidInputError, match="line 1"):
        sweep(path)
    path.write_text('{"learning_rate":0.1,"loss":2.5}\n')
    with pytest.raises(InvalidInputError, match="not an event of format 1"):
        sweep(path)


def test_a_path_keeps_its_axes(tmp_path: Path) -> None:
    sweep(tmp_path / "sweep.jsonl")
    with pytest.raises(InvalidInputError, match=r"holds runs with the axes \['width'\]"):
        sweep(tmp_path / "sweep.jsonl", axes={"depth": [2]}, target={"depth": 8})


def test_the_budget_ends_it() -> None:
    asked = sweep(cost="width", budget=5 * 64)
    assert finish(asked) <= 5
    assert asked.done == "budget"
    assert sum(float(run.axes["width"]) for run in asked.runs) <= 5 * 64


def test_precision_ends_it() -> None:
    asked = sweep(precision=3)
    finish(asked)
    assert asked.done == "precision"
    low, high = asked.predict().interval
    assert math.log2(high / low) / 2 <= 3
    assert asked.ask() == []


def test_runs_of_before_count_and_cost_nothing() -> None:
    asked = sweep(axes={"width": [64]}, budget=3 * 64**2)
    for x in (-9.0, -8.0, -7.0):
        run = AskedRun(0, {"width": 32}, 2.0**x, 0)
        asked.add(run.axes, run.learning_rate, trained(run))
    with pytest.raises(InvalidInputError, match="axes"):
        asked.add({"depth": 32}, 2.0**-8, 2.5)
    assert finish(asked) == 3
    assert len(asked.fit().cells) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": None}, "give either cells"),
        ({"axes": {"width": [64, 64.1]}}, "given twice"),
        ({"axes": {"width": [-1]}}, "width is -1"),
        ({"ratio": 0.5}, "ratio"),
        ({"learning_rates": [], "ratio": None}, "learning_rates"),
        ({"cost": "width +"}, "cost"),
        ({"cost": "depth"}, "'depth' can't be read"),
        ({"cost": "0 * width"}, "above 0"),
        ({"target": {"depth": 3}}, "target"),
        ({"target": {"width": "wide"}}, "give words or numbers to all"),
        ({"prescribed": ["depth"]}, "prescribed names 'depth'"),
        ({"precision": math.nan}, "precision"),
        ({"seeds": 0}, "seeds"),
    ],
)
def test_what_cannot_be_is_refused(options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        sweep(**options)
