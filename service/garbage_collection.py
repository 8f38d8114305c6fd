"""Python's garbage collector, set for a server: rarely, and not over what was loaded at the start."""

import gc

#: Allocations between two collections.  One answer for a large model makes thousands of objects and no cycles; at
#: the default of 700 they have the whole heap of modules searched again and again, two thirds of such an answer's time
#: (measured with benchmarks/service_transfers.py).  Chosen: some ten such answers.
ALLOCATIONS = 50_000


def collect_rarely() -> None:
    """Leave out of every later collection what is loaded now, and collect less often; for a process's entry point."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, *gc.get_threshold()[1:])
