"""wordcount: counts the words of every regular file below a directory, with a pipeline of goroutines:

    walker --paths--> counters (a bounded pool) --tables--> collector (main)      progress, on a terminal

Every channel is bounded, so a slow stage holds up the ones before it and memory grows with the number of distinct
words, not with the number of files. File errors are named on stderr and counted; nothing stops.

What is a word? As for `wc -w` in the C locale: a run of bytes between white space that holds something printable.

    python wordcount.py [-j JOBS] DIR
"""

import argparse
import os
import re
import sys
import time
from collections import Counter
from typing import NamedTuple, Union

from gort import Chan, RecvChan, SendChan, Ticker, WaitGroup, go, run, select

COMMONEST = 10
PATHS = 256  # paths waiting for a counter
SHOWN = 60  # bytes of a word that are printed
PRINTABLE = re.compile(rb"[!-~]")


class Failure(NamedTuple):
    path: bytes
    reason: str


Table = Union["Counter[bytes]", Failure]


# ---- The stages ----


def walk(directory: bytes, paths: SendChan[bytes], tables: SendChan[Table]) -> None:
    try:
        entries = list(os.scandir(directory))
    except OSError as error:
        tables.send(Failure(directory, str(error.strerror)))
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            walk(entry.path, paths, tables)
        elif entry.is_file(follow_symlinks=False):
            paths.send(entry.path)


def start_walk(root: bytes, paths: SendChan[bytes], tables: SendChan[Table]) -> None:
    walk(root, paths, tables)
    paths.close()


def count_file(path: bytes) -> Table:
    words: "Counter[bytes]" = Counter()
    try:
        with open(path, "rb") as lines:
            for line in lines:
                words.update(filter(PRINTABLE.search, line.split()))
    except OSError as error:
        return Failure(path, str(error.strerror))
    return words


def count(paths: RecvChan[bytes], tables: SendChan[Table]) -> None:
    for path in paths:
        tables.send(count_file(path))


# ---- The collector ----


class Tally:
    def __init__(self) -> None:
        self.words: "Counter[bytes]" = Counter()
        self.total = self.files = self.failed = 0
        self.shown = False  # there is progress on the terminal

    def add(self, table: Table) -> None:
        if isinstance(table, Failure):
            self.failed += 1
            self.clear_progress()
            print(f"wordcount: '{escaped(table.path)}': {table.reason}", file=sys.stderr)
        else:
            self.files += 1
            self.total += sum(table.values())
            self.words.update(table)

    def show_progress(self) -> None:
        self.clear_progress()
        print(f"{self.total} words in {self.files} files", end="", file=sys.stderr, flush=True)
        self.shown = True

    def clear_progress(self) -> None:
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self.shown = False

    def report(self, seconds: float) -> None:
        print(f"words: {self.total}")
        print(f"files: {self.files}")
        print(f"failed: {self.failed}")
        print(f"files per second: {self.files / seconds:.0f}")
        if self.words:
            print("commonest words:")
        commonest = sorted(self.words.items(), key=lambda item: (-item[1], item[0]))[:COMMONEST]
        for word, times in commonest:
            more = f"... ({len(word)} bytes)" if len(word) > SHOWN else ""
            print(f"{times:12}  {escaped(word[:SHOWN])}{more}")


def escaped(text: bytes) -> str:
    """Names and words may hold any byte; so each stays on one line."""
    return "".join(r"\\" if b == 0x5C else chr(b) if 0x20 <= b < 0x7F else f"\\{b:03o}" for b in text)


def main(root: bytes, jobs: int) -> int:
    start = time.monotonic()
    paths, tables = Chan[bytes](PATHS), Chan[Table](jobs)
    stages = WaitGroup()
    stages.go(start_walk, root, paths.tx, tables.tx)
    for _ in range(jobs):
        stages.go(count, paths.rx, tables.tx)

    def close_when_done() -> None:
        stages.wait()
        tables.close()

    go(close_when_done)
    tally = Tally()
    ticker = Ticker(0.2) if sys.stderr.isatty() else None
    while True:
        chosen, table, ok = select(tables, ticker.chan if ticker else None)
        if chosen == 1:
            tally.show_progress()
        elif ok:
            tally.add(table)
        else:
            break
    tally.clear_progress()
    tally.report(time.monotonic() - start)
    return int(tally.failed > 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="wordcount", description="Counts the words of all files below a directory.")
    parser.add_argument("-j", dest="jobs", metavar="JOBS", default="2", help="goroutines that count (default: 2)")
    parser.add_argument("dirs", metavar="DIR", nargs="*")
    given = parser.parse_args()
    if not re.fullmatch("[1-9][0-9]{0,4}", given.jobs):
        parser.error(f"-j takes a number from 1 to 99999, not '{given.jobs}'")
    if len(given.dirs) != 1:
        parser.error("more than one directory given" if given.dirs else "no directory given")
    try:
        os.scandir(given.dirs[0]).close()
    except NotADirectoryError:
        parser.error(f"{given.dirs[0]}: not a directory")
    except FileNotFoundError as error:
        parser.error(f"{given.dirs[0]}: {error.strerror}")
    except OSError:
        pass  # the walker names it
    return given


if __name__ == "__main__":
    given = arguments()
    sys.exit(run(main, os.fsencode(given.dirs[0]), int(given.jobs)))
