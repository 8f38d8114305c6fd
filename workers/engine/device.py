"""The machine that trials run on: its description, and where it keeps compiled programs."""

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

import widthwise


def describe_device() -> dict[str, Any]:
    """Return device, platform and versions, JSON-ready: what a loss may depend on besides its specification."""
    device, count = jax.devices()[0], jax.local_device_count()
    return {
        "device": device.platform,
        "device_kind": device.device_kind,
        **({"device_count": count} if count > 1 else {}),
        "platform": platform.platform(),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("jax", "optax", "numpy")},
            "widthwise": widthwise.__version__,
        },
    }


def use_compile_cache(directory: str | Path) -> None:
    """Keep compiled programs in `directory` from now on, so that another process with the same width starts at once."""
    update: Callable[[str, object], None] = jax.config.update  # untyped in jax
    update("jax_compilation_cache_dir", str(directory))
    # a proxy's step compiles in 1-3 s; by default JAX keeps only what took longer than a second
    update("jax_persistent_cache_min_compile_time_secs", 0.0)
