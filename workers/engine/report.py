"""How a running shard reports its progress."""

from collections.abc import Callable

Progress = Callable[[int, int, int, int], None]  #: (run, from 1; number of runs; step; number of steps)
