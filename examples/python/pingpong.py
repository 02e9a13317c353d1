"""Ping-pong until a deadline: two players hit a ball over a channel without a buffer, the table.

After a tenth of a second the referee takes the ball off the table and closes it. The number of hits depends on the
machine and goes to stderr; that they took turns does not.
"""

import sys
from dataclasses import dataclass

from gort import Chan, WaitGroup, run, sleep


@dataclass
class Ball:
    hits: int = 0


@dataclass
class Player:
    table: "Chan[Ball]"
    hits: int = 0

    def play(self) -> None:
        for ball in self.table:
            ball.hits += 1
            self.hits += 1
            # The referee receives too: the ball always finds a taker before the table is closed.
            self.table.send(ball)


def yes(truth: bool) -> str:
    return "yes" if truth else "no"


def main() -> None:
    table = Chan[Ball]()
    ping, pong = Player(table), Player(table)
    players = WaitGroup()
    players.go(ping.play)
    players.go(pong.play)

    table.send(Ball())
    sleep(0.1)
    ball = table.recv()  # game over; the players wait for a ball that will not come
    table.close()
    players.wait()

    print(f"{ball.hits} hits", file=sys.stderr)
    print(f"ball and players agree: {yes(ball.hits == ping.hits + pong.hits)}")
    print(f"ping and pong took turns: {yes(abs(ping.hits - pong.hits) <= 1)}")


if __name__ == "__main__":
    run(main)
