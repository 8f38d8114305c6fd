"""What is measured of a training run besides its loss: gradients, alignment and activations, one run per width."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from widthwise.errors import InvalidInputError
from workers.engine.data import load_corpus
from workers.engine.measurements.probe import Probe
from workers.engine.measurements.record import Measurement, snapshot_steps
from workers.engine.prescription import prescribe
from workers.engine.proxies import build_proxy
from workers.engine.specification import Shard, SweepSpec

__all__ = ["Measurement", "Probe", "run_shard", "snapshot_steps"]

Progress = Callable[[int, int, int, int], None]  #: (run from 1, of how many, step, of how many)


def run_shard(
    spec: Mapping[str, Any],
    shard: Mapping[str, Any],
    done: Collection[Sequence[Any]] = (),
    *,
    corpora_dir: str | None = None,
    on_progress: Progress | None = None,
) -> Iterator[Measurement]:
    """Measures the run of every seed of a `measure` shard, at its first learning rate, and yields what each kind saw.

    `done` holds (kind, seed) pairs that are stored already and are skipped. One run serves every kind that is left.
    `corpora_dir` is the folder of the operator's own texts. The same arguments give the same numbers bit for bit on the
    same device and versions. Raises InvalidInputError for a specification that can't be run, and for a shard without a
    learning rate or anything to measure.
    """
    sweep, part = SweepSpec.from_dict(spec), Shard.from_dict(shard)
    for field in ("learning_rates", "measure"):
        if not getattr(part, field):
            raise InvalidInputError(f"shard.{field} is empty; a measure shard needs one", field=f"shard.{field}")
    stored = {(str(kind), int(seed)) for kind, seed in done}
    wanted = {seed: tuple(kind for kind in part.measure if (kind, seed) not in stored) for seed in part.seeds}
    wanted = {seed: kinds for seed, kinds in wanted.items() if kinds}
    if not wanted:
        return
    proxy = build_proxy(sweep.proxy)
    prescription = prescribe(sweep, proxy, part.width)
    probe = Probe(sweep, proxy, part.width, load_corpus(sweep.proxy.dataset, corpora_dir))
    for index, (seed, kinds) in enumerate(wanted.items(), start=1):

        def report(step: int, index: int = index) -> None:
            if on_progress is not None:
                on_progress(index, len(wanted), step, sweep.steps)

        measured = probe.run(prescription, part.learning_rates[0], seed, kinds, report=report)
        for kind in kinds:
            yield Measurement(width=part.width, seed=seed, kind=kind, data=measured[kind])
