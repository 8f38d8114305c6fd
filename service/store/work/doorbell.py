"""The doorbell wakes workers when a shard is ready; the table of work is the queue."""

from collections.abc import Sequence
from typing import Protocol


class Doorbell(Protocol):
    """Tells workers, best effort, that shards are ready to be claimed."""

    def ring(self, shard_ids: Sequence[str]) -> Sequence[str]:
        """Announce the shards within 2 seconds, without raising; return those whose message was sent."""
        ...


class NoDoorbell:
    """Announces nothing: the workers poll the table of work, so no broker is needed."""

    def ring(self, shard_ids: Sequence[str]) -> Sequence[str]:  # noqa: ARG002  # the protocol's name
        """Send nothing; return an empty result."""
        return ()
