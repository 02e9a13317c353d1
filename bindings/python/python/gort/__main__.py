"""``python -m gort``: what is installed; ``python -m gort demo``: a minute with goroutines."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Optional

import gort


def info() -> dict[str, str]:
    """What is installed, and where."""
    return {
        "version": gort.__version__,
        "library": gort.get_library(),
        "include": gort.get_include(),
        "python": sys.version.split()[0],
        "cpus": str(gort.num_cpu()),
    }


def sieve(count: int) -> list[int]:
    """The first prime numbers, each found by a goroutine of its own, which lets through what its prime does not divide."""

    def numbers(out: gort.Chan[int]) -> None:
        n = 2
        try:
            while True:
                out.send(n)
                n += 1
        except gort.Closed:
            pass

    def sift(prime: int, numbers: gort.Chan[int], out: gort.Chan[int]) -> None:
        try:
            for n in numbers:
                if n % prime:
                    out.send(n)
        except gort.Closed:
            numbers.close()

    primes = []
    channel = gort.Chan[int]()
    gort.go(numbers, channel)
    for _ in range(count):
        prime = channel.recv()
        primes.append(prime)
        out = gort.Chan[int]()
        gort.go(sift, prime, channel, out)
        channel = out
    channel.close()
    return primes


def demo() -> None:
    """Goroutines by the thousand, a pipeline, a select, a group."""
    started = time.perf_counter()
    meeting = gort.WaitGroup()
    count = 10_000
    for _ in range(count):
        meeting.go(gort.sleep, 0.1)
    meeting.wait()
    print(f"{count} goroutines slept for 0.1 s: {time.perf_counter() - started:.2f} s in all")

    print("primes, through a chain of 20 goroutines:", *sieve(20))

    late, soon = gort.Chan[str](1), gort.Chan[str](1)
    gort.Timer(0.2, lambda: late.send("late"))
    gort.Timer(0.01, lambda: soon.send("soon"))
    index, value, _ = gort.select(late, soon)
    print(f"select: channel {index} was first, with {value!r}")

    def work(ctx: gort.Context, n: int) -> None:
        if n == 3:
            raise ValueError(f"worker {n} gives up")
        ctx.done.recv_ok()

    try:
        with gort.Group() as g:
            for n in range(5):
                g.go(work, g.ctx, n)
    except ValueError as error:
        print(f"group: {error}, and the others have stopped")


def main(argv: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gort", description="Goroutines, channels and select for Python.")
    parser.add_argument("--json", action="store_true", help="print what is installed as JSON")
    parser.add_argument("command", nargs="?", choices=["info", "demo"], default="info")
    arguments = parser.parse_args(argv)
    if arguments.command == "demo":
        gort.run(demo)
    elif arguments.json:
        print(json.dumps(info()))
    else:
        for name, value in info().items():
            print(f"{name:8} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
