"""The child process that answers large transfers, one after another; `service.transfers.large` starts it.

    python -m service.transfers.large_child DESCRIPTOR MAX_BODY_BYTES

Over the socket of that descriptor it receives in which form to answer and then a body, and sends what became of it. It
ends when the socket closes, which happens at the latest when the service ends. It has no settings, no secrets and no
database.
"""

import gc
import os
import resource
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from service.errors import ApiError
from service.exports.schemas import ExportChoice
from service.transfers.measured import FromMeasurements
from service.transfers.packed import Asked, Crashed, Drawing, Packed, answered
from widthwise.figures.figure import Figure

NICE = 5  # below the service itself (chosen), whose requests take milliseconds
BODIES = 64  # times the largest body: how much memory an answer may take (measured: the worst takes 40)


def main() -> int:
    """Answer until the socket closes."""
    connection = Connection(int(sys.argv[1]))
    _step_back(int(sys.argv[2]))

    def ask(question: Asked) -> FromMeasurements | None:
        connection.send(question)
        measured: FromMeasurements | None = connection.recv()
        return measured

    gc.disable()  # an answer makes hundreds of thousands of objects and few cycles: `collect` when it is sent
    gc.freeze()  # what the imports made stays: walking it took a quarter of a second after each answer
    with suppress(EOFError, BrokenPipeError):
        while True:
            choice: ExportChoice | Drawing = connection.recv()
            body = connection.recv_bytes()
            found: Packed | Figure | ApiError | Crashed | None
            try:
                found = answered(body, ask, choice)
            except Exception:  # noqa: BLE001  the service logs it
                found = Crashed(traceback.format_exc())
            if found is not None:
                connection.send(found)
            del body, found
            gc.collect()
    return 0


def _step_back(max_body_bytes: int) -> None:
    """Leave the processor to the service, take bounded memory, and be the first to go if the machine has none left."""
    os.nice(NICE)
    with suppress(OSError):  # not on Linux
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    with suppress(OSError, ValueError):  # a lower limit is in force already
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + BODIES * max_body_bytes,) * 2)


if __name__ == "__main__":
    sys.exit(main())
