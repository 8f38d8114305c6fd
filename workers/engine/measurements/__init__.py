"""What is measured of a training run besides its loss: gradients, alignment and activations, one run per width."""

from collections.abc import Collection, Iterator

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, MeasurementIdentity, TrialIdentity
from widthwise.errors import InvalidInputError
from workers.engine.data import load_corpus
from workers.engine.measurements.observer import Observer
from workers.engine.measurements.registry import KINDS
from workers.engine.prescription import prescribe
from workers.engine.proxies import build_proxy
from workers.engine.report import Progress

__all__ = ["KINDS", "Observer", "run_shard"]


def run_shard(
    spec: CalibrationSpec,
    shard: ShardSpec,
    done: Collection[TrialIdentity | MeasurementIdentity] = (),
    *,
    corpora_dir: str | None = None,
    on_progress: Progress | None = None,
) -> Iterator[Measurement]:
    """Measure the run of every seed of a `measure` shard, at its first learning rate, and yield each kind's record.

    `done` holds measurements that are stored already; they are skipped. One run serves all remaining kinds.
    `corpora_dir` is the folder of the operator's own texts. The same arguments give the same numbers bit for bit on the
    same device and versions. Raises InvalidInputError for a specification that can't be run, and for a shard without a
    learning rate or anything to measure.
    """
    for field in ("learning_rates", "measure"):
        if not getattr(shard, field):
            raise InvalidInputError(
                f"shard.{field} is empty; a measure shard needs at least one", field=f"shard.{field}"
            )
    missing = shard.measurements() - set(done)
    wanted = {
        seed: [kind for kind in shard.measure if MeasurementIdentity(shard.width, seed, kind) in missing]
        for seed in shard.seeds
    }
    wanted = {seed: kinds for seed, kinds in wanted.items() if kinds}
    if not wanted:
        return
    proxy = build_proxy(spec.proxy)
    prescription = prescribe(spec, proxy, shard.width)
    observer = Observer(spec, proxy, shard.width, load_corpus(spec.proxy.dataset, corpora_dir))
    for index, (seed, kinds) in enumerate(wanted.items(), start=1):

        def report(step: int, index: int = index) -> None:
            if on_progress is not None:
                on_progress(index, len(wanted), step, spec.steps)

        records = [KINDS[kind] for kind in kinds]
        measured = observer.run(prescription, shard.learning_rates[0], seed, records, report=report)
        for kind in kinds:
            yield Measurement(shard.width, seed, kind, measured[kind])
