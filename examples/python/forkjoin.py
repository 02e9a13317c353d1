"""Fork and join: merge sort that forks a goroutine for the one half of its numbers, sorts the other half itself, and
joins before it merges. Below a thousand numbers a goroutine would cost more than it saves.

(With a global interpreter lock they take turns on one core; the shape is the same.)
"""

from typing import List

from gort import WaitGroup, run

NUMBERS, SERIAL = 1_000_000, 1000


def sort(numbers: List[int], start: int, end: int) -> None:
    if end - start <= SERIAL:
        numbers[start:end] = sorted(numbers[start:end])
        return
    middle = (start + end) // 2
    forked = WaitGroup()
    forked.go(sort, numbers, start, middle)
    sort(numbers, middle, end)
    forked.wait()  # join
    numbers[start:end] = sorted(numbers[start:end])  # two sorted runs, which Python's sort merges in linear time


def random_numbers() -> List[int]:
    numbers, number = [], 1
    for _ in range(NUMBERS):
        number = (number * 1664525 + 1013904223) & 0xFFFFFFFF
        numbers.append(number)
    return numbers


def main() -> None:
    numbers = random_numbers()
    before = sum(numbers)
    sort(numbers, 0, len(numbers))
    descents = sum(a > b for a, b in zip(numbers, numbers[1:]))
    print(f"{NUMBERS} numbers, {descents} out of order, {'none' if sum(numbers) == before else 'some'} lost")


if __name__ == "__main__":
    run(main)
