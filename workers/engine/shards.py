"""One shard of any kind: which part of the engine runs it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workers.engine.specification import Shard

if TYPE_CHECKING:
    from workers.engine.measurements import Measurement
    from workers.engine.sweep import Trial

Progress = Callable[[int, int, int, int], None]  #: (trial from 1, of how many, step, of how many)


def run(
    spec: Mapping[str, Any],
    shard: Mapping[str, Any],
    done: Collection[Sequence[Any]] = (),
    *,
    corpora_dir: str | None = None,
    on_progress: Progress | None = None,
) -> "Iterator[Trial] | Iterator[Measurement]":
    """Runs `shard` under the calibration `spec` and yields each trial or measurement as it finishes.

    `done` holds what is stored already and is skipped: (learning rate, seed, role, γ, horizon) of a trial, of which
    the last three may be left out of a plain sweep's; (kind, seed) of a measurement. `corpora_dir` is the folder of the
    operator's own texts. The same arguments give the same outcomes bit for bit on the same device and versions.
    Raises InvalidInputError for a specification or shard that can't be run.
    """
    kind = Shard.from_dict(shard).kind
    # each imported where it runs: a child process runs one shard
    if kind == "horizon":
        from workers.engine import horizon

        return horizon.run_shard(spec, shard, done, corpora_dir=corpora_dir, on_progress=on_progress)
    if kind == "measure":
        from workers.engine import measurements

        return measurements.run_shard(spec, shard, done, corpora_dir=corpora_dir, on_progress=on_progress)
    from workers.engine import sweep

    return sweep.run_shard(spec, shard, done, corpora_dir=corpora_dir, on_progress=on_progress)
