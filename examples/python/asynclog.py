"""An asynchronous log: who logs only puts a line into a channel and goes on; one goroutine takes the lines out and
writes them, so they never mix and nobody else waits for the terminal. When the buffer is full, `log` waits for room;
`hint` drops its line instead, and counts it. Closing the channel flushes: the writer takes what is left, then ends.
"""

from gort import Chan, WaitGroup, WouldBlock, run

BUFFER, SERVICES, REQUESTS = 16, 3, 4


class Logger:
    def __init__(self) -> None:
        self.lines = Chan[str](BUFFER)
        self.dropped = 0

    def write(self) -> None:
        written = 0
        for written, line in enumerate(self.lines, start=1):
            print(line)
        print(f"lines written: {written}")

    def log(self, text: str) -> None:
        self.lines.send(text)

    def hint(self, text: str) -> None:
        """For what is not worth waiting for."""
        try:
            self.lines.try_send(text)
        except WouldBlock:
            self.dropped += 1


def main() -> None:
    logger = Logger()

    # Nobody takes lines out yet: the buffer fills, and what does not fit is dropped.
    for _ in range(BUFFER + 5):
        logger.hint("starting")
    print(f"hints dropped: {logger.dropped}")

    def serve(number: int) -> None:
        for request in range(1, REQUESTS + 1):
            logger.log(f"service {number}: request {request} served")

    writer, services = WaitGroup(), WaitGroup()
    writer.go(logger.write)
    for number in range(1, SERVICES + 1):
        services.go(serve, number)
    services.wait()
    logger.lines.close()
    writer.wait()


if __name__ == "__main__":
    run(main)
