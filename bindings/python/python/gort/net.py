"""Connections that park the goroutine which waits for them, and no thread.

``listen`` and ``dial`` make them; ``patch_socket`` lets the standard library's ``socket`` do the same, and with it
whatever stands on it: urllib, http.client, requests, ssl.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union

from ._gort import Closed, Fd, wait_fd
from ._socket_patch import patch_socket, unpatch_socket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Buffer

__all__ = ["Conn", "Listener", "dial", "listen", "patch_socket", "unpatch_socket", "wait_fd"]

Address = Union[str, "tuple[str, int]"]

_Handle = TypeVar("_Handle", bound="_Block")


def _text(address: Address) -> str:
    """``("::1", 80)`` as ``[::1]:80``."""
    if isinstance(address, str):
        return address
    host, port = address[0], address[1]
    if not isinstance(host, str) or not isinstance(port, int):
        raise TypeError("an address is a str or a tuple (host, port)")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Block(Fd):
    """Closed at the end of its ``with`` block."""

    __slots__ = ()

    def __enter__(self: _Handle) -> _Handle:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()


class Conn(_Block):
    """A connection. Any number of goroutines and threads may use it; one reads and one writes at a time.

    A read or write that has to wait past its deadline raises ``TimeoutError``; one on a closed connection, or one
    that waits when it is closed, raises ``Closed``.
    """

    __slots__ = ()

    def read(self, n: int = 65536) -> bytes:
        """Up to ``n`` bytes, as soon as there are some; ``b""`` at the end. ``n`` below 0: all until the end."""
        if n >= 0:
            return self._read(n)
        parts: list[bytes] = []
        while True:
            part = self._read(65536)
            if not part:
                return b"".join(parts)
            parts.append(part)

    def readinto(self, buffer: Buffer) -> int:
        """Read into ``buffer`` what there is, as soon as there is some; how much. 0 at the end."""
        return self._readinto(buffer)

    def write(self, data: Buffer) -> int:
        """Write all of ``data``; how many bytes that was."""
        return self._write(data)

    def close_write(self) -> None:
        """Tell the peer that no more comes; reading goes on."""
        self._shutdown(1)

    def close_read(self) -> None:
        """Read no more: whoever waits for data sees the end."""
        self._shutdown(0)

    def makefile(
        self,
        mode: str = "r",
        buffering: Optional[int] = None,
        *,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
    ) -> Any:
        """A file object on the connection, as ``socket.makefile``. Closing it leaves the connection open."""
        if not set(mode) <= {"r", "w", "b"} or not mode:
            raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
        writing = "w" in mode
        reading = "r" in mode or not writing
        binary = "b" in mode
        raw = _Raw(self, reading, writing)
        if buffering is None or buffering < 0:
            buffering = io.DEFAULT_BUFFER_SIZE
        if buffering == 0:
            if not binary:
                raise ValueError("unbuffered streams must be binary")
            return raw
        buffer: Any
        if reading and writing:
            buffer = io.BufferedRWPair(raw, raw, buffering)
        elif reading:
            buffer = io.BufferedReader(raw, buffering)
        else:
            buffer = io.BufferedWriter(raw, buffering)
        if binary:
            return buffer
        return io.TextIOWrapper(buffer, encoding, errors, newline)

    def __repr__(self) -> str:
        try:
            return f"<gort.net.Conn {self.local_addr} to {self.peer_addr}>"
        except (Closed, OSError):
            return "<gort.net.Conn closed>"


class _Raw(io.RawIOBase):
    """What ``io`` puts its buffers on."""

    def __init__(self, conn: Conn, reading: bool, writing: bool) -> None:
        self._conn = conn
        self._reading = reading
        self._writing = writing

    def readable(self) -> bool:
        return self._reading

    def writable(self) -> bool:
        return self._writing

    def fileno(self) -> int:
        return self._conn.fileno()

    def readinto(self, buffer: Buffer) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._conn._readinto(buffer)

    def write(self, data: Buffer) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._conn._write(data)


class Listener(_Block):
    """Accepts connections; iterating does so until it is closed."""

    __slots__ = ()

    def accept(self) -> Conn:
        """Wait for a connection and take it. Raises ``Closed``, and ``TimeoutError`` past the deadline."""
        return self._accept(Conn)

    @property
    def addr(self) -> str:
        """Where it listens; with the port that was free, if 0 was asked for."""
        return self.local_addr

    def __iter__(self) -> Iterator[Conn]:
        while True:
            try:
                conn = self.accept()
            except Closed:
                return
            yield conn
            del conn

    def __repr__(self) -> str:
        try:
            return f"<gort.net.Listener {self.local_addr}>"
        except (Closed, OSError):
            return "<gort.net.Listener closed>"


def listen(addr: Address, network: str = "tcp") -> Listener:
    """Listen at ``addr``: ``"127.0.0.1:0"``, ``":8080"``, ``("::1", 8080)``; a path with ``network="unix"``."""
    return Listener._listen(network, _text(addr))


def dial(addr: Address, timeout: Optional[float] = None, network: str = "tcp") -> Conn:
    """Connect to ``addr``, as ``listen`` has it. Raises ``TimeoutError`` after ``timeout`` seconds."""
    return Conn._dial(network, _text(addr), timeout)
