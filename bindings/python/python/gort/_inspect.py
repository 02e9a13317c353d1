"""Seeing inside: statistics and dumps."""

from __future__ import annotations

import os
import sys
from typing import IO, Any, NamedTuple, Optional, Union

from . import _gort

__all__ = ["Stats", "dump", "stats"]


class Stats(NamedTuple):
    """What the runtime has done and has; see ``gort_stats_t`` in ``gort.h``."""

    goroutines: int
    spawned: int
    workers: int
    threads: int
    parks: int
    steals: int
    wakeups: int
    stack_bytes: int


def stats() -> Stats:
    """What the runtime has done and has."""
    return Stats(*_gort._stats())


def dump(file: Union[None, int, IO[str], IO[bytes]] = None) -> None:
    """Write every goroutine, with what it waits for and its backtrace, to ``file``.

    ``file``: a file object, of text or bytes, or a descriptor; ``sys.stderr`` if it is not given.
    """
    if file is None:
        file = sys.stderr
        if file is None:
            return
    if isinstance(file, int):
        _gort._dump(file)
        return
    fd = _descriptor(file)
    if fd is not None:
        file.flush()
        _gort._dump(fd)
        return
    # No descriptor behind it: a StringIO, or what pytest puts in the place of stderr.
    import tempfile

    with tempfile.TemporaryFile() as text:
        _gort._dump(text.fileno())
        text.seek(0)
        data = text.read()
    _write(file, data)


def _write(file: Any, data: bytes) -> None:
    try:
        file.write(data.decode("utf-8", "replace"))
    except TypeError:
        file.write(data)
    file.flush()


def _descriptor(file: Any) -> Optional[int]:
    try:
        fd = file.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    if not isinstance(fd, int):
        return None
    try:
        os.fstat(fd)
    except OSError:
        return None
    return fd
