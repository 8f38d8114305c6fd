"""A client of HTTP/2 that sees single frames: httpx needs one more package for it, and hides how an answer ended."""

import socket
import struct
from collections.abc import Mapping
from typing import Self

from testbed.proxy import Proxy

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE = 0, 1, 3, 4, 8  # RFC 9113, section 6
END_STREAM, END_HEADERS, ACK = 1, 4, 1


class Http2:
    """One connection to the proxy; a context manager."""

    def __init__(self, proxy: Proxy) -> None:
        context = proxy.trust()
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=20)
        self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self._stream = self._socket.makefile("rb")
        # Each stream may still send 64 KiB until it is told otherwise; all of them together are not limited.
        widened = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30))
        self._socket.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + widened)

    def request(self, stream: int, headers: Mapping[str, str], body: bytes | None = None) -> None:
        """Send a request's head and perhaps the beginning of its body, of at most 16 KiB."""
        fields = {":scheme": "https", ":authority": "localhost", **headers}
        ordered = sorted(fields.items(), key=lambda field: not field[0].startswith(":"))
        block = b"".join(literal(name) + literal(value, kind=b"") for name, value in ordered)
        ends = END_STREAM if body is None else 0
        self._socket.sendall(frame(HEADERS, END_HEADERS | ends, stream, block))
        if body is not None:
            self._socket.sendall(frame(DATA, 0, stream, body))

    def rest(self, stream: int, body: bytes) -> None:
        """Send the rest of a body, in frames of at most 16 KiB."""
        for start in range(0, len(body), 1 << 14):
            ends = END_STREAM if start + (1 << 14) >= len(body) else 0
            self._socket.sendall(frame(DATA, ends, stream, body[start : start + (1 << 14)]))

    def answer(self, stream: int) -> bytes:
        """Return the body of a request's answer; fail if the connection or the stream ends before it."""
        body = b""
        while True:
            head = self._stream.read(9)
            assert len(head) == 9, "the connection was closed"
            length, kind, flags, of = (
                int.from_bytes(head[:3], "big"),
                head[3],
                head[4],
                struct.unpack(">I", head[5:])[0],
            )
            payload = self._stream.read(length)
            if kind == SETTINGS and not flags & ACK:
                self._socket.sendall(frame(SETTINGS, ACK, 0, b""))
            if of == stream:
                assert kind != RST_STREAM, "the stream was reset"
                body += payload if kind == DATA else b""
                if flags & END_STREAM:
                    return body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Write one frame (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(text: str, kind: bytes = b"\0") -> bytes:
    """Write a name, or with kind=b"" its value, as a literal that no table holds (RFC 7541, section 6.2.2)."""
    assert len(text) < 127  # longer ones have a longer prefix
    return kind + bytes((len(text),)) + text.encode()
