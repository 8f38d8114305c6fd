"""The child process that runs shards: jobs in on stdin, events out on stdout (see `protocol`), logs on stderr.

    python -m workers.child [--describe]

It runs one job after another, and its parent ends it. After an error event it exits with code 1, since what is left of
a job that failed may disturb the next. With --describe it takes no job and reports the device it would use.
If stdin closes, the parent is gone, and the child exits at once with code 3, whatever it is doing. JAX is loaded only
here, so a deadline, an abort or running out of memory ends one shard and not the worker.
"""

import json
import logging
import os
import queue
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from widthwise.calibration.memory import training_bytes
from widthwise.errors import InvalidInputError
from workers.protocol import Described, ErrorKind, Event, Failed, Finished, Job, Started, StepProgress, ended

PARENT_GONE = 3
PROGRESS_SECONDS = 1.0  # a person watches these; more often would be noise
MACHINE_SHARE = 0.8  # of the machine's memory for one child (chosen): the rest is the worker's, and the kernel's
LEAST_URGENT = 19  # the lowest priority: nobody waits for a description
# One core per child: two single-threaded processes do more than one with two threads (measured: 2 × 44 against
# 64 GFLOP/s at width 128). Variables that are already set are kept.
SINGLE_THREADED = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "NPROC": "1",  # with only the two flags, a pool with one thread per core remains (measured: 20 s of CPU in 14 s)
}

log = logging.getLogger("widthwise.child")


class Pipe:
    """JSON lines to the parent, on a separate descriptor: everything else that is printed goes to stderr."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        os.dup2(2, 1)

    def send(self, event: Event) -> None:
        """Send one event; ends the process if nobody reads it any more. Raises ValueError for NaN and infinities."""
        line = json.dumps(event.to_dict(), allow_nan=False) + "\n"
        rest = line.encode()
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError:
            os._exit(PARENT_GONE)


class Jobs:
    """The lines of stdin, read on a separate thread, which also ends the process when stdin closes."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="parent-watch", daemon=True).start()

    def __iter__(self) -> Iterator[Job]:
        """Yield each job as it arrives. Raises InvalidInputError."""
        while True:
            yield _job(self._lines.get())

    def _read(self) -> None:
        # from the descriptor, since a buffered reader would lock this thread at exit
        rest = b""
        while read := os.read(0, 1 << 16):
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                self._lines.put(line)
        os._exit(PARENT_GONE)


def main() -> int:
    """Run jobs until one fails; return the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("jax").setLevel(logging.WARNING)  # at INFO it lists every missing backend
    pipe = Pipe()
    try:
        jobs = Jobs()
        on_cpu = _trains_on_cpu()
        if on_cpu:
            for name, value in SINGLE_THREADED.items():
                os.environ.setdefault(name, value)
        if sys.argv[1:] == ["--describe"]:
            _describe(pipe)
            return 0
        for job in jobs:
            _limit_memory(job, on_cpu=on_cpu)
            _run(job, pipe)
            pipe.send(Finished())
    except Exception as error:
        log.exception("the shard failed")
        pipe.send(Failed(_kind(error), str(error) or type(error).__name__))
    return 1


def _trains_on_cpu() -> bool:
    """Whether JAX will choose the CPU; read from the environment, since JAX itself must not be imported yet."""
    platforms = os.environ.get("JAX_PLATFORMS")
    if platforms:
        return platforms.split(",")[0] == "cpu"
    return not entry_points(group="jax_plugins") and find_spec("libtpu") is None


def _limit_memory(job: Job, *, on_cpu: bool) -> None:
    """Let this process run out of memory before its machine does, and be the first to go if the machine does.

    On a CPU, private memory is limited by the specification and by the machine, and more is a MemoryError. (RLIMIT_AS
    would count what is only reserved, which JAX does by the gigabyte; a GPU's driver reserves private memory too.)
    The limit is that of the largest job so far: the memory of earlier jobs is not all returned.
    """
    with suppress(OSError):  # not on Linux
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if on_cpu:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limit = min(training_bytes(job.spec, job.shard.width), int(MACHINE_SHARE * machine))
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        before = 0 if soft == resource.RLIM_INFINITY else soft
        limit = max(limit, before) if hard == resource.RLIM_INFINITY else min(max(limit, before), hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _describe(pipe: Pipe) -> None:
    """Report the device, using as little of it as possible: another worker's shard may be running on it."""
    os.nice(LEAST_URGENT)
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # by default JAX reserves 75% of a GPU's memory at once
    from workers.engine.device import describe_device

    pipe.send(Described(describe_device()))


def _run(job: Job, pipe: Pipe) -> None:
    # imported here, after the flags above, because XLA reads them once
    from workers.engine.code import code_sha256
    from workers.engine.data import load_corpus
    from workers.engine.device import describe_device, use_compile_cache
    from workers.engine.dispatch import run
    from workers.engine.optimizers import constants_in_force
    from workers.engine.sweep import prepare

    if job.cache_dir is not None:
        use_compile_cache(job.cache_dir)
    pipe.send(
        Started(
            {
                **describe_device(),
                "code_sha256": code_sha256(),
                "dataset_sha256": load_corpus(job.spec.proxy.dataset, job.corpora_dir).sha256,
                "optimizer_constants": dict(constants_in_force(job.spec)),
            }
        )
    )
    if job.only_compile:
        prepare(job.spec, job.shard.width, job.corpora_dir)
        return
    last = time.monotonic()

    def report(trial: int, of: int, step: int, steps: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            pipe.send(StepProgress(trial, of, step, steps))

    for outcome in run(job.spec, job.shard, job.done, corpora_dir=job.corpora_dir, on_progress=report):
        pipe.send(ended(outcome))


def _job(line: bytes) -> Job:
    """Return the job in a line of stdin."""
    try:
        job = json.loads(line)
    except ValueError as error:
        raise InvalidInputError(f"stdin did not contain a job: {error}; give one line of JSON") from error
    return Job.from_dict(job)


def _kind(error: Exception) -> ErrorKind:
    if isinstance(error, InvalidInputError):
        return ErrorKind.INVALID_INPUT
    # XLA reports a full device by this word at the start of a RuntimeError
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return ErrorKind.OUT_OF_MEMORY
    return ErrorKind.INTERNAL


if __name__ == "__main__":
    sys.exit(main())
