"""Names of workers: unique among living processes, and starting with the host name."""

import os
import secrets
import socket


def machine_id() -> str:
    """Return a new name, HOST-PID-RANDOM.

    The random part is needed since in containers every process has number 1, and hosts may share a name.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
