"""Web pages fetched with urllib, all at once. `urlopen` blocks, as it always did; the others run meanwhile, and all the
pages together take about as long as the slowest.

    python fetch.py URL...        without a URL: ten pages of a server of its own, slow on purpose

For each page its status and size, in the order of the URLs; how long it took goes to stderr. Exit status 1 if a page
could not be had.
"""

import sys
import time
from contextlib import suppress
from typing import List, Union
from urllib.request import urlopen

from gort import Closed, Group, WaitGroup, go, net, run, sleep

AT_ONCE = 64  # each has a thread while it waits


class Page:
    def __init__(self, url: str) -> None:
        self.url = url
        self.result: Union[str, OSError] = ""
        self.seconds = 0.0

    def fetch(self) -> None:
        start = time.monotonic()
        try:
            with urlopen(self.url, timeout=120) as answer:
                self.result = f"{answer.status}, {len(answer.read())} bytes"
        except OSError as error:
            self.result = error
        self.seconds = time.monotonic() - start


def fetch_all(urls: List[str], hidden: int = 0) -> int:
    """`hidden` letters of the URLs are not shown."""
    start = time.monotonic()
    pages = [Page(url) for url in urls]
    with Group(limit=AT_ONCE) as group:
        for page in pages:
            group.go(page.fetch)
    took = time.monotonic() - start
    for page in pages:
        print(f"{page.url[hidden:]}: {page.result}")
    times = [page.seconds for page in pages]
    print(
        f"all in {took:.2f} s; the slowest alone took {max(times):.2f} s, "
        f"one after the other they would take {sum(times):.2f} s",
        file=sys.stderr,
    )
    return int(any(isinstance(page.result, OSError) for page in pages))


# ---- A server: `GET /300` is answered after 300 ms, with 300 bytes ----


def answer(client: net.Conn) -> None:
    with client, suppress(OSError), client.makefile("rb") as lines:
        size = int(lines.readline().split()[1][1:])
        while lines.readline().strip():
            pass
        sleep(size / 1000)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        client.write(head.encode() + b"0" * size)


def accept_all(listener: net.Listener) -> None:
    with suppress(Closed):
        while True:
            go(answer, listener.accept())


def fetch_own() -> int:
    accepting = WaitGroup()
    with net.listen("127.0.0.1:0") as listener:
        accepting.go(accept_all, listener)
        site = f"http://{listener.addr}"
        result = fetch_all([f"{site}/{50 * i}" for i in range(1, 11)], len(site))
    accepting.wait()
    return result


def main(urls: List[str]) -> int:
    return fetch_all(urls) if urls else fetch_own()


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
