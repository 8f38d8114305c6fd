"""JAX on one thread, and strict ranks, so that a silent broadcast is an error; optax's schedules need casts."""

import os
from collections.abc import Iterator

# before JAX is imported: XLA reads these once
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("NPROC", "1")

import jax
import pytest


@pytest.fixture(autouse=True)
def strict_ranks() -> Iterator[None]:
    with jax.numpy_rank_promotion("raise"):
        yield
