"""A service without workers, in this process: its store is at hand, so that a test decides what happens when."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from service.settings import Settings
from service.store import Store, open_store
from tests.api.samples import bowl, spec
from tests.served import served
from widthwise.calibration.trial import TrialIdentity
from widthwise.vocabulary import ShardKind

#: The loss of a trial; None if it diverges.
Losses = Callable[[TrialIdentity], float | None]


def bowl_of(trial: TrialIdentity) -> float:
    """A loss whose optimum is 2^-8 at every width."""
    return 2.0 + 0.05 * (math.log2(trial.learning_rate) + 8) ** 2 + 0.001 * trial.seed


class Idle:
    """The service: its address, its store, and a client."""

    def __init__(self, url: str, store: Store, client: httpx.Client) -> None:
        self.url = url
        self.store = store
        self.client = client

    def submit(self, **changes: Any) -> str:
        """Submit a small calibration and return its id."""
        answer = self.client.post("/v1/calibrations", json=spec(**changes))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def finished(self, drift: float = 0.25, **changes: Any) -> str:
        """A calibration that has succeeded, of trials that were uploaded."""
        identifier = self.submit(runner="external", **changes)
        address = f"/v1/calibrations/{identifier}"
        assert self.client.post(f"{address}/trials", json={"trials": bowl(drift, **changes)}).status_code == 200
        assert self.client.post(f"{address}/finish").status_code == 200
        return identifier

    def work(self, losses: Losses = bowl_of, kind: ShardKind | None = None) -> None:
        """Run what is queued as a worker does, or only until a shard of a kind has been run."""
        while (claim := self.store.work.claim("vm-1")) is not None:
            self.store.work.record_environment(claim, {"device": "cpu", "code_sha256": "a" * 64})
            for trial in sorted(claim.shard.trials(), key=str):
                loss = losses(trial)
                ended = {"status": "diverged" if loss is None else "completed", "loss": loss}
                self.store.work.record_trial(claim, {**trial._asdict(), **ended, "seconds": 0.5, "flops": 1e9})
            self.store.work.finish(claim)
            if claim.shard.kind is kind:
                return

    def worked(self, **changes: Any) -> str:
        """A calibration that has succeeded, as a worker runs it: with the losses of the bowl."""
        identifier = self.submit(**changes)
        self.work()
        assert self.show(identifier)["state"] == "succeeded"
        return identifier

    def failed(self, reason: str, **changes: Any) -> str:
        """A calibration with shards that failed for a reason."""
        identifier = self.submit(**changes)
        while (claim := self.store.work.claim("vm-1")) is not None:
            self.store.work.fail(claim, reason, retryable=False)
        assert self.show(identifier)["state"] == "failed"
        return identifier

    def show(self, identifier: str) -> Mapping[str, Any]:
        """The calibration as the service shows it."""
        shown: Mapping[str, Any] = self.client.get(f"/v1/calibrations/{identifier}").json()
        return shown


@contextmanager
def idle_service(settings: Settings, headers: Mapping[str, str] | None = None) -> Iterator[Idle]:
    """Serve on a free port. headers: of the client's requests."""
    store = open_store(settings.database_url)
    try:
        with (
            served(settings) as url,
            httpx.Client(base_url=url, headers=dict(headers or {}), trust_env=False, timeout=60) as client,
        ):
            yield Idle(url, store, client)
    finally:
        store.close()
