"""Ten goroutines and a wait group: each prints its number, and main waits until the last one is done.

`WaitGroup.go` counts the goroutine in and, when it ends, out.
"""

from gort import WaitGroup, run


def report(number: int) -> None:
    print(f"goroutine {number}")


def main() -> None:
    everyone = WaitGroup()
    for number in range(1, 11):
        everyone.go(report, number)
    everyone.wait()
    print("waited for all of them")


if __name__ == "__main__":
    run(main)
