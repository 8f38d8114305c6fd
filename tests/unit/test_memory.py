"""The memory that a training may take: above everything measured, and not so far above that it limits nothing."""

import pytest

from widthwise.calibration.memory import training_bytes
from widthwise.calibration.spec import CalibrationSpec


def spec(architecture: str, width: int, **changes: object) -> CalibrationSpec:
    proxy = {"architecture": architecture, **changes}
    return CalibrationSpec.from_dict(
        {"parameterization": "mup", "optimizer": "adam", "widths": [width], "proxy": proxy}
    )


@pytest.mark.parametrize(
    ("architecture", "width", "batch_size", "peak_mib"),  # measured: a whole child on one core, JAX 0.10.2
    [("mlp", 64, 64, 293), ("mlp", 1024, 256, 655), ("transformer", 256, 32, 417), ("transformer", 1024, 8, 1292)],
)
def test_it_bounds_what_was_measured(architecture: str, width: int, batch_size: int, peak_mib: int) -> None:
    limit = training_bytes(spec(architecture, width, batch_size=batch_size), width) / 2**20
    assert 2 * peak_mib < limit < 8 * max(peak_mib, 300)


def test_it_grows_with_all_that_takes_memory() -> None:
    least = spec("transformer", 256)
    for more in (
        {"batch_size": 256},
        {"depth": 32},
        {"sequence_length": 1024},
        {"dataset": "file:notes.txt"},
        {"feed_forward": "swiglu", "depth": 32},
    ):
        assert training_bytes(spec("transformer", 256, **more), 256) > training_bytes(least, 256) + 2**27, more
    assert training_bytes(least, 4096) > 2**35
