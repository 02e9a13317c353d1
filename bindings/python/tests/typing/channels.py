"""What a type checker makes of channels; checked by mypy, never run. An error that is expected says so, and mypy says
when it is not one any more."""

import asyncio
from typing import Optional

from typing_extensions import assert_type

from gort import Chan, RecvChan, SendChan, Ticker, Timer, after, select


class Animal: ...


class Cat(Animal): ...


def makes(cats: Chan[Cat]) -> None:
    assert_type(Chan[int](), Chan[int])
    assert_type(Chan[int](3), Chan[int])
    assert_type(Chan(4, elem=int), Chan[int])
    assert_type(Chan(4, elem=float), Chan[float])
    assert_type(Chan(4, elem=16), Chan[bytes])
    assert_type(Chan(4, elem=0), Chan[None])
    inferred: Chan[str] = Chan(8)
    inferred.send("x")
    inferred.send(1)  # type: ignore[arg-type]
    assert_type(Chan[int].from_handle(cats.handle), Chan[int])
    assert_type(cats.cap, int)


def receives(cats: Chan[Cat]) -> None:
    assert_type(cats.recv(), Cat)
    assert_type(cats.recv(timeout=1), Cat)
    assert_type(cats.recv_ok(), tuple[Optional[Cat], bool])
    assert_type(cats.try_recv(), Cat)
    assert_type([cat for cat in cats], list[Cat])
    assert_type(after(1).recv(), float)
    timer = Timer(1, lambda: cats.close())
    assert_type(timer.chan, Optional[Chan[float]])
    assert_type([due for due in Ticker(1)], list[float])


def takes(animals: RecvChan[Animal], cats: SendChan[Cat]) -> None: ...


def views(animals: Chan[Animal], cats: Chan[Cat]) -> None:
    """Who receives animals may be given cats; who sends cats may be given a channel of animals."""
    takes(cats.rx, animals.tx)
    takes(animals.rx, cats.tx)
    cats.rx.send(Cat())  # type: ignore[attr-defined]
    cats.tx.recv()  # type: ignore[attr-defined]
    animals_only: RecvChan[Cat] = animals.rx  # type: ignore[assignment]


def selects(cats: Chan[Cat], words: Chan[str]) -> None:
    index, value, ok = select(cats, (words, "x"), None, (None, 1), cats.on_recv(), words.on_send("x"), timeout=1)
    assert_type(index, int)
    assert_type(ok, bool)
    select(cats.rx, (words.tx, "y"), default=True)
    select(words.tx)  # type: ignore[arg-type]
    select("words")  # type: ignore[arg-type]
    words.on_send(1)  # type: ignore[arg-type]


async def awaits(cats: Chan[Cat]) -> None:
    assert_type(await cats.arecv(), Cat)
    assert_type([cat async for cat in cats.rx], list[Cat])
    await cats.asend(Cat())
    assert_type(await asyncio.wait_for(cats.arecv(), 1), Cat)
    assert_type(await asyncio.create_task(cats.arecv()), Cat)
