"""How long a child lives on after a shard: in shards, seconds, idle seconds and bytes of memory."""

from dataclasses import dataclass

# The reasons stand in service/settings.py, whose defaults these are.
SHARDS, SECONDS, IDLE_SECONDS, MEMORY_BYTES = 100, 3600.0, 10.0, 2 << 30


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The limits after which a child is replaced; a shard that has begun is never cut short by them."""

    shards: int = SHARDS  #: 1: a fresh child for every shard
    seconds: float = SECONDS  #: from its start
    idle_seconds: float = IDLE_SECONDS  #: without a shard
    memory_bytes: int = MEMORY_BYTES  #: resident between two shards

    def allows(self, *, shards: int, seconds: float, resident_bytes: int | None) -> bool:
        """Whether a child that has run this much may take another shard; its memory is None if that is unknown.

        >>> Lifetime(shards=1).allows(shards=1, seconds=0.5, resident_bytes=None)
        False
        """
        return shards < self.shards and seconds < self.seconds and (resident_bytes or 0) < self.memory_bytes
