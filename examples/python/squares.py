"""Squares into a shared list: every goroutine writes one element and no other, so no lock is needed.

The wait group makes what they wrote visible to the goroutine that waited.
"""

from gort import WaitGroup, run

N = 12


def main() -> None:
    numbers = list(range(1, N + 1))
    squares = [0] * N

    def square(i: int) -> None:
        squares[i] = numbers[i] ** 2

    everyone = WaitGroup()
    for i in range(N):
        everyone.go(square, i)
    everyone.wait()
    for number, squared in zip(numbers, squares):
        print(f"{number} squared is {squared}")


if __name__ == "__main__":
    run(main)
