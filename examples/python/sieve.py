"""The prime sieve: a chain of goroutines, one for each prime found, through which all numbers pass.

The first number that reaches the end of the chain is the next prime, and a filter for it joins the chain.
"""

from typing import List

from gort import Chan, Closed, RecvChan, SendChan, go, run

LIMIT = 230


def generate(out: SendChan[int]) -> None:
    """Sends 2, 3, 4 ... and closes its channel."""
    for n in range(2, LIMIT):
        out.send(n)
    out.close()


def sift(prime: int, numbers: RecvChan[int], out: SendChan[int]) -> None:
    """Passes on what its prime does not divide."""
    for n in numbers:
        if n % prime:
            out.send(n)
    out.close()


def main() -> None:
    primes: List[int] = []
    end = Chan[int]()
    go(generate, end.tx)
    while True:
        try:
            prime = end.recv()
        except Closed:
            break
        primes.append(prime)
        longer = Chan[int]()
        go(sift, prime, end.rx, longer.tx)
        end = longer
    for start in range(0, len(primes), 10):
        print(*primes[start : start + 10])
    print(f"{len(primes)} primes below {LIMIT}")


if __name__ == "__main__":
    run(main)
