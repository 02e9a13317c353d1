"""Typed channels: three workers answer questions that come over one channel and go back over another. A type checker
knows what each carries (`mypy --strict typed.py`); at run time `Chan[Question]()` is `Chan()`.
"""

from math import factorial
from typing import Dict, NamedTuple

from gort import Chan, RecvChan, SendChan, WaitGroup, run, select

LAST, WORKERS = 12, 3


class Question(NamedTuple):
    number: int


class Answer(NamedTuple):
    number: int
    factorial: int


def work(questions: RecvChan[Question], answers: SendChan[Answer]) -> None:
    for question in questions:
        answers.send(Answer(question.number, factorial(question.number)))


def main() -> None:
    questions, answers = Chan[Question](), Chan[Answer]()
    workers = WaitGroup()
    for _ in range(WORKERS):
        workers.go(work, questions.rx, answers.tx)

    # Ask the next question or take an answer, whichever can be done first.
    factorials: Dict[int, int] = {}
    following = 1
    while len(factorials) < LAST:
        ask = (questions, Question(following)) if following <= LAST else None  # None is never ready
        chosen, answer, _ = select(ask, answers)
        if chosen == 0:
            following += 1
        else:
            factorials[answer.number] = answer.factorial
    questions.close()
    workers.wait()

    for number in range(1, LAST + 1):
        print(f"{number}! = {factorials[number]}")


if __name__ == "__main__":
    run(main)
