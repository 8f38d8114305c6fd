"""How long a child lives on after a shard: in shards, seconds, idle seconds and bytes that it grew by."""

from dataclasses import dataclass

# The reasons stand in service/settings.py, whose defaults these are.
SHARDS, SECONDS, IDLE_SECONDS, GROWTH_BYTES = 100, 3600.0, 10.0, 512 << 20


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The limits after which a child is replaced; a shard that has begun is never cut short by them."""

    shards: int = SHARDS  #: or widths that it compiles; 1: a fresh child for every shard
    seconds: float = SECONDS  #: from its start
    idle_seconds: float = IDLE_SECONDS  #: without a shard
    growth_bytes: int = (
        GROWTH_BYTES  #: of resident memory since its first shard: an accelerator's driver takes much at once
    )

    def allows(self, *, shards: int, seconds: float, growth_bytes: int) -> bool:
        """Whether a child that has run this much may take another shard.

        >>> Lifetime(shards=1).allows(shards=1, seconds=0.5, growth_bytes=0)
        False
        """
        return shards < self.shards and seconds < self.seconds and growth_bytes < self.growth_bytes
