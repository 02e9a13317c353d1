"""Hello over a channel: a goroutine sends a greeting, the main goroutine receives it and prints it.

The channel has no buffer, so the receive is also the wait for the sender.
"""

from gort import Chan, go, run


def main() -> None:
    greetings = Chan[str]()
    go(greetings.send, "hello from a goroutine")
    print(greetings.recv())


if __name__ == "__main__":
    run(main)
