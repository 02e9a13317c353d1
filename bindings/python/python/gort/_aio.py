"""Channels in event loops of asyncio (and of uvloop, and of anyio on top of either).

An operation that cannot be carried out at once is left to the native module, which leaves it in the mailbox of the loop
when somebody has carried it out, on whatever thread that was; here is the other end of the mailbox, and what becomes of
a task that is cancelled meanwhile.

The one thing to know: **what was transferred counts.** If the cancellation of a task comes after its value was received
or sent, the task gets its result; the cancellation follows when it awaits next.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import AbstractEventLoop, CancelledError, Task
from typing import Any, TypeVar
from weakref import ReferenceType, WeakKeyDictionary

from ._gort import Case, Chan, Closed, RecvChan, _Mailbox, _Operation, select

T = TypeVar("T")

# The loop itself keeps its mailbox, as long as it watches it. The mailbox may lead to the loop.
_mailboxes: WeakKeyDictionary[AbstractEventLoop, ReferenceType[_Mailbox]] = WeakKeyDictionary()


async def send(chan: Chan[T], value: T) -> None:
    """Chan.asend()."""
    if select((chan, value), default=True)[0] < 0:
        await _carry_out((chan, value))


async def recv(chan: Chan[T]) -> T:
    """Chan.arecv()."""
    index, value, ok = select(chan, default=True)
    if index < 0:
        index, value, ok = await _carry_out(chan)
    if not ok:
        raise Closed("channel is closed")
    return value  # type: ignore[no-any-return]


async def next_(chan: Chan[T]) -> T:
    """Chan.__anext__()."""
    index, value, ok = select(chan, default=True)
    if index < 0:
        index, value, ok = await _carry_out(chan)
    if not ok:
        raise StopAsyncIteration
    return value  # type: ignore[no-any-return]


async def aselect(*cases: Case | Chan[Any] | RecvChan[Any] | tuple[Any, Any] | None) -> tuple[int, Any, bool]:
    """As select(), for a task of an event loop: wait until one of the cases can be carried out, and carry out that one."""
    chosen = select(*cases, default=True)
    return chosen if chosen[0] >= 0 else await _carry_out(*cases)


async def _carry_out(*cases: Case | Chan[Any] | RecvChan[Any] | tuple[Any, Any] | None) -> tuple[int, Any, bool]:
    loop = asyncio.get_running_loop()
    operation = _Operation(_mailbox(loop), *cases)
    future = loop.create_future()
    operation.wait(future)
    try:
        await future
    except CancelledError:
        if operation.cancel():
            raise
        _cancel_later(loop)
    except BaseException:
        # The coroutine is closed, unfinished.
        operation.cancel()
        raise
    return operation.result()


def _mailbox(loop: AbstractEventLoop) -> _Mailbox:
    reference = _mailboxes.get(loop)
    mailbox = reference() if reference is not None else None
    if mailbox is None:
        mailbox = _Mailbox()
        loop.add_reader(mailbox.fileno(), _deliver, mailbox)
        _mailboxes[loop] = ReferenceType(mailbox)
    return mailbox


def _deliver(mailbox: _Mailbox) -> None:
    for future in mailbox.take():
        if not future.done():
            future.set_result(None)


def _cancel_later(loop: AbstractEventLoop) -> None:
    """The current task was cancelled too late: cancel what it awaits next."""
    task = asyncio.current_task(loop)
    if task is not None:
        loop.call_soon(_cancel_again, task)


def _cancel_again(task: Task[Any]) -> None:
    # It has run meanwhile, and waits again or is done.
    if task.done():
        return
    if sys.version_info >= (3, 11):
        # Whoever cancelled it may have taken that back: a timeout() whose block has ended. The number of requests stays
        # what it is.
        if task.cancelling():
            task.cancel()
            task.uncancel()
    else:
        task.cancel()
