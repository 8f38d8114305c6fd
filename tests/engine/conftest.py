"""Engine tests run JAX on one thread, with strict promotion, so that a silent broadcast or cast is an error."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# before JAX is imported: XLA reads these once
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("NPROC", "1")

import jax
import pytest

from workers.engine.device import use_compile_cache


@pytest.fixture(autouse=True)
def strict_promotion() -> Iterator[None]:
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="session")
def compile_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(autouse=True, scope="session")
def shared_compilation(compile_cache: Path) -> None:
    """Most tests run the same few programs, here and in child processes: each is compiled once."""
    use_compile_cache(compile_cache)


@pytest.fixture
def float64() -> Iterator[None]:
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def spec() -> dict[str, Any]:
    """The smallest calibration that still learns: a second of training."""
    return {
        "parameterization": "standard",
        "optimizer": "adam",
        "alignment": "full",
        "readout_omega": 0.5,
        "widths": [8, 16],
        "seeds": 1,
        "steps": 30,
        "learning_rates": [0.01],
        "search": "grid",
        "epsilon": 1e-12,
        "form": "table_9",
        "proxy": {
            "architecture": "mlp",
            "depth": 1,
            "head_dim": 4,
            "sequence_length": 4,
            "batch_size": 64,
            "dataset": "python_docs",
        },
        "measure": ["learning_rate"],
        "runner": "worker",
    }
