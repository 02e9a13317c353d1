"""The standard library's sockets, with blocking calls that park goroutines.

The one thing to know: a patched method waits until the socket is ready, which parks, and then calls the original,
which finds it ready. So what the original does stays what it does, and if somebody else was faster it waits itself,
and keeps a thread meanwhile as it would have without us. Outside goroutines, and for non-blocking sockets, the
original is called at once. The methods are replaced in the classes, so that sockets and modules that are there
already, and classes that derive from them, have them too.
"""

from __future__ import annotations

import errno
import os
import select as _select
import socket as _socket_module
import time
from typing import Any, Callable, Optional

from ._gort import in_goroutine, wait_fd

__all__ = ["patch_socket", "unpatch_socket"]

_base = _socket_module.socket.__mro__[1]
_IN = _select.POLLIN
_OUT = _select.POLLOUT
_DONTWAIT: int = getattr(_socket_module, "MSG_DONTWAIT", 0)

# What was replaced: (class, name) -> what stood in the class itself, or None if it was inherited.
_replaced: dict[tuple[type, str], Any] = {}


def _end(sock: Any) -> Optional[float]:
    """When the call that begins now times out, on the clock of ``time.monotonic``; ``None``: never."""
    timeout = sock.gettimeout()
    return None if timeout is None else time.monotonic() + timeout


def _await(sock: Any, events: int, end: Optional[float]) -> None:
    """Park until the socket is ready; with its timeout over, what a socket raises then."""
    left = None if end is None else max(0.0, end - time.monotonic())
    try:
        wait_fd(sock.fileno(), events, left)
    except TimeoutError:
        raise _socket_module.timeout("timed out") from None


def _parks(sock: Any) -> bool:
    return in_goroutine() and sock.gettimeout() != 0 and sock.fileno() >= 0


def _waiting(name: str, events: int) -> Callable[..., Any]:
    original = getattr(_base, name)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _parks(self):
            _await(self, events, _end(self))
        return original(self, *args, **kwargs)

    call.__name__ = name
    call.__qualname__ = f"socket.{name}"
    call.__doc__ = original.__doc__
    return call


def _send(self: Any, data: Any, flags: int = 0) -> int:
    """send(data[, flags]) -> count"""
    if not _parks(self):
        return _base.send(self, data, flags)  # type: ignore[attr-defined,no-any-return]
    end = _end(self)
    while True:
        # A blocking send of much would keep the thread until all is gone; so: what goes at once.
        _await(self, _OUT, end)
        try:
            return _base.send(self, data, flags | _DONTWAIT)  # type: ignore[attr-defined,no-any-return]
        except BlockingIOError:
            if flags & _DONTWAIT:
                raise


def _sendall(self: Any, data: Any, flags: int = 0) -> None:
    """sendall(data[, flags])"""
    if not _parks(self):
        _base.sendall(self, data, flags)  # type: ignore[attr-defined]
        return
    end = _end(self)
    with memoryview(data) as view, view.cast("B") as rest:
        sent = 0
        while sent < len(rest):
            _await(self, _OUT, end)
            try:
                sent += _base.send(self, rest[sent:], flags | _DONTWAIT)  # type: ignore[attr-defined]
            except BlockingIOError:
                if flags & _DONTWAIT:
                    raise


def _connect_ex(self: Any, address: Any) -> int:
    """connect_ex(address) -> errno"""
    if not _parks(self):
        return _base.connect_ex(self, address)  # type: ignore[attr-defined,no-any-return]
    end = _end(self)
    timeout = self.gettimeout()
    _base.settimeout(self, 0.0)  # type: ignore[attr-defined]
    try:
        status: int = _base.connect_ex(self, address)  # type: ignore[attr-defined]
        if status not in (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR):
            return status
        try:
            _await(self, _OUT, end)
        except TimeoutError:
            return errno.EWOULDBLOCK if timeout is not None else errno.ETIMEDOUT
        except _socket_module.timeout:  # 3.9: not yet a TimeoutError
            return errno.EWOULDBLOCK
        return int(self.getsockopt(_socket_module.SOL_SOCKET, _socket_module.SO_ERROR))
    finally:
        if self.fileno() >= 0:
            _base.settimeout(self, timeout)  # type: ignore[attr-defined]


def _connect(self: Any, address: Any) -> None:
    """connect(address)"""
    if not _parks(self):
        _base.connect(self, address)  # type: ignore[attr-defined]
        return
    status = _connect_ex(self, address)
    if status == errno.EWOULDBLOCK:
        raise _socket_module.timeout("timed out")
    if status:
        raise OSError(status, os.strerror(status))


def _replace(cls: type, name: str, new: Any) -> None:
    _replaced[cls, name] = cls.__dict__.get(name)
    setattr(cls, name, new)


def patch_socket() -> None:
    """Let the blocking calls of ``socket`` and ``ssl`` park the goroutine that makes them, and no thread.

    For all sockets of the process, those that are there already too. Threads are not affected. Twice is as once.
    Looking up a name still takes a thread while it lasts.
    """
    if _replaced:
        return
    cls = _socket_module.socket
    for name in ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "_accept"):
        if hasattr(_base, name):
            _replace(cls, name, _waiting(name, _IN))
    for name in ("sendto", "sendmsg"):
        if hasattr(_base, name):
            _replace(cls, name, _waiting(name, _OUT))
    _replace(cls, "send", _send)
    _replace(cls, "sendall", _sendall)
    _replace(cls, "connect", _connect)
    _replace(cls, "connect_ex", _connect_ex)
    try:
        import ssl
    except ImportError:
        return
    _patch_ssl(ssl)


def _patch_ssl(ssl: Any) -> None:
    cls = ssl.SSLSocket
    read, write, handshake, unwrap = cls.read, cls.write, cls.do_handshake, cls.unwrap

    def ssl_read(self: Any, len: int = 1024, buffer: Any = None) -> Any:
        # What has been decrypted already is there without the descriptor being readable.
        if self._sslobj is not None and _parks(self) and not self.pending():
            _await(self, _IN, _end(self))
        return read(self, len, buffer)

    def ssl_write(self: Any, data: Any) -> int:
        if self._sslobj is not None and _parks(self):
            _await(self, _OUT, _end(self))
        return write(self, data)  # type: ignore[no-any-return]

    def without_waiting(call: Callable[..., Any]) -> Callable[..., Any]:
        """Several messages go to and fro: each time park until the socket is ready for the next."""

        def parked(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not _parks(self):
                return call(self, *args, **kwargs)
            end = _end(self)
            timeout = self.gettimeout()
            self.settimeout(0.0)
            try:
                while True:
                    try:
                        return call(self, *args, **kwargs)
                    except ssl.SSLWantReadError:
                        _await(self, _IN, end)
                    except ssl.SSLWantWriteError:
                        _await(self, _OUT, end)
            finally:
                if self.fileno() >= 0:
                    self.settimeout(timeout)

        return parked

    _replace(cls, "read", ssl_read)
    _replace(cls, "write", ssl_write)
    _replace(cls, "unwrap", without_waiting(unwrap))

    def ssl_handshake(self: Any, block: bool = False) -> None:
        shake = parked_handshake if block or self.gettimeout() != 0.0 else handshake
        shake(self)

    parked_handshake = without_waiting(handshake)
    _replace(cls, "do_handshake", ssl_handshake)


def unpatch_socket() -> None:
    """Undo ``patch_socket``."""
    for (cls, name), old in _replaced.items():
        if old is None:
            delattr(cls, name)
        else:
            setattr(cls, name, old)
    _replaced.clear()
