"""How a shard that runs says how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int, int, int], None]  #: (run from 1, of how many, step, of how many)
