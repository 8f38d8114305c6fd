"""The soak in short: the same code for some seconds, so that it is tried with every change."""

import pytest

from benchmarks.soak import report, soak

SECONDS = 20.0
CALIBRATIONS = 12


@pytest.mark.timeout(600)  # it takes about a minute, and its own bounds end it before this
def test_a_short_soak_loses_and_doubles_nothing() -> None:
    done = soak(calibrations=CALIBRATIONS, seconds=SECONDS)
    assert done.violations == []
    assert done.disturbed.disturbances["worker killed"] > 0
    assert sum(done.disturbed.disturbances.values()) > 5
    lines, data = report(done, workers=3, seconds=SECONDS, seed=0)
    assert data["calibrations"] == {"succeeded": CALIBRATIONS}
    assert data["trials"] == sum(len(one.trials) for one in done.undisturbed.snapshots)
    assert any(line.startswith("| worker killed |") for line in lines)
