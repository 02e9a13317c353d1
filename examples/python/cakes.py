"""Baker and icer: a cake is never shared, it is passed on. Whoever received it owns the cake until it sends it along
(serial confinement), so no lock guards its fields.
"""

from dataclasses import dataclass

from gort import Chan, RecvChan, SendChan, go, run

CAKES = 5


@dataclass
class Cake:
    number: int
    state: str


def baker(cooked: SendChan[Cake]) -> None:
    for number in range(1, CAKES + 1):
        cooked.send(Cake(number, "cooked"))  # from here on the cake is the icer's
    cooked.close()


def icer(cooked: RecvChan[Cake], iced: SendChan[Cake]) -> None:
    for cake in cooked:
        cake.state = "cooked and iced"
        iced.send(cake)
    iced.close()


def main() -> None:
    cooked, iced = Chan[Cake](1), Chan[Cake](1)
    go(baker, cooked.tx)
    go(icer, cooked.rx, iced.tx)
    for cake in iced:
        print(f"cake {cake.number}: {cake.state}")


if __name__ == "__main__":
    run(main)
