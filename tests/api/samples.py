"""Bodies that the tests send, and a calibration filled by hand."""

import copy
import math
from typing import Any

from service.transfers.examples import EXAMPLES
from tests.api.client import Client

CONTRACT: dict[str, Any] = EXAMPLES["contract"]["value"]


def changed(path: str, value: Any, body: dict[str, Any] = CONTRACT) -> dict[str, Any]:
    """The body with one member replaced or added, named by a dotted path."""
    copied = copy.deepcopy(body)
    *parents, last = path.split(".")
    here = copied
    for parent in parents:
        here = here[parent]
    here[last] = value
    return copied


def spec(**changes: Any) -> dict[str, Any]:
    """A small specification of a calibration."""
    return {
        "parameterization": "standard",
        "optimizer": "adam",
        "alignment": "full",
        "widths": [64, 128, 256],
        "seeds": 2,
        "steps": 10,
        "learning_rates": [2.0**power for power in range(-12, -3)],
        **changes,
    }


def submit(client: Client, **changes: Any) -> str:
    """Submit a calibration and return its id."""
    response = client.post("/v1/calibrations", json=spec(**changes))
    assert response.status_code == 202, response.text
    identifier: str = response.json()["id"]
    return identifier


def bowl(drift: float = 0.25, **changes: Any) -> list[dict[str, Any]]:
    """Trials whose optimum is at 2^-8 at width 64 and moves as width^(−drift); loss null above 2^-4."""
    wanted = spec(**changes)
    return [
        {
            "width": width,
            "learning_rate": rate,
            "seed": seed,
            "loss": 2.0 + 0.05 * (math.log2(rate) + 8 + drift * math.log2(width / 64)) ** 2 + 0.001 * seed,
        }
        for width in wanted["widths"]
        for rate in wanted["learning_rates"]
        for seed in range(wanted["seeds"])
    ]


def finished(client: Client, drift: float = 0.25, **changes: Any) -> str:
    """A succeeded calibration whose trials were uploaded; return its id."""
    identifier = submit(client, runner="external", **changes)
    trials = bowl(drift, **changes)
    assert client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": trials}).status_code == 200
    response = client.post(f"/v1/calibrations/{identifier}/finish")
    assert response.status_code == 200, response.text
    assert response.json()["state"] == "succeeded"
    return identifier
