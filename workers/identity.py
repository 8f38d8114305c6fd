"""Names of workers: unique among living processes, and each says its host."""

import os
import secrets
import socket


def machine_id() -> str:
    """Return a new name, HOST-PID-RANDOM.

    The last part: in containers every process is number 1, and hosts may share a name.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
