"""Votes counted with a condition variable. The election is decided as soon as a majority has said yes, and
hold_election returns then, while late voters are still on their way. What they share with it stays as long as one of
them has it.
"""

from gort import Chan, Cond, Mutex, SendChan, go, run, sleep

VOTERS = 10
MAJORITY = VOTERS // 2 + 1


class Election:
    def __init__(self, over: SendChan[None]) -> None:
        self.over = over  # closed when all have voted
        self.lock = Mutex()
        self.changed = Cond(self.lock)  # signalled when one of these two has changed:
        self.votes = self.finished = 0

    def vote(self, number: int) -> None:
        sleep(number / 1000)  # as long as it takes to ask a voter far away
        with self.lock:
            self.votes += number % 4 != 0
            self.finished += 1
            self.changed.broadcast()
            if self.finished == VOTERS:
                self.over.close()


def hold_election(over: SendChan[None]) -> bool:
    """Asks all voters; returns as soon as the result is certain."""
    election = Election(over)
    for number in range(VOTERS):
        go(election.vote, number)
    with election.lock:
        while election.votes < MAJORITY and election.finished < VOTERS:
            election.changed.wait()
        return election.votes >= MAJORITY


def main() -> None:
    over = Chan[None]()
    print(f"the election is {'won' if hold_election(over.tx) else 'lost'}")
    over.recv_ok()
    print(f"the last of {VOTERS} voters is through")


if __name__ == "__main__":
    run(main)
