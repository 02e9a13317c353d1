"""A prime checker: numbers go in on one channel, verdicts come out on another, and a pool of goroutines stands
between. Verdicts come in any order, so each carries its number.
"""

from math import isqrt
from typing import Tuple

from gort import Chan, RecvChan, SendChan, WaitGroup, run

POOL = 4
CANDIDATES = [1, 2, 9, 97, 561, 7919, 1000003, 1000005, 2147483647, 2147483649, 999999000001, 999998000001]

Verdict = Tuple[int, bool]


def is_prime(n: int) -> bool:
    return n >= 2 and all(n % d for d in range(2, isqrt(n) + 1))


def check(numbers: RecvChan[int], verdicts: SendChan[Verdict]) -> None:
    for n in numbers:
        verdicts.send((n, is_prime(n)))


def ask(numbers: SendChan[int]) -> None:
    for n in CANDIDATES:
        numbers.send(n)
    numbers.close()


def main() -> None:
    numbers, verdicts = Chan[int](), Chan[Verdict]()
    goroutines = WaitGroup()
    goroutines.go(ask, numbers.tx)
    for _ in range(POOL):
        goroutines.go(check, numbers.rx, verdicts.tx)

    prime = dict(verdicts.recv() for _ in CANDIDATES)
    for n in CANDIDATES:
        print(f"{n} is {'prime' if prime[n] else 'not prime'}")
    goroutines.wait()


if __name__ == "__main__":
    run(main)
