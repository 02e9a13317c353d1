"""Captured arguments: `go` evaluates them now, so each goroutine has its own and the loop may use its variables again.

A `lambda: greet(number, name)` would look the two names up when it runs: all three would print the last ones.
"""

from gort import WaitGroup, go, run


def main() -> None:
    everyone = WaitGroup()

    def greet(number: int, name: str) -> None:
        print(f"{number}: {name}")
        everyone.done()

    for number, name in enumerate(["alpha", "bravo", "charlie"], start=1):
        everyone.add(1)
        go(greet, number, name)
    everyone.wait()


if __name__ == "__main__":
    run(main)
