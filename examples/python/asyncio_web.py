"""An asyncio web server whose answers are made by goroutines.

The handler of `asyncio.start_server` is an ordinary coroutine: it sends a job into a channel with `asend` and awaits
the answer with `arecv`; neither holds up the event loop. The goroutines at the other end write plain code that may
block (here: sqlite3). What they log comes back to asyncio through a channel too, with `async for`.

The program asks its own server a few things, all at once, and prints what came back.
"""

import asyncio
import sqlite3
from typing import NamedTuple
from urllib.parse import unquote

from gort import Chan, RecvChan, SendChan, WaitGroup

WORKERS = 4
CAPITALS = {
    "France": "Paris",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Kenya": "Nairobi",
    "Peru": "Lima",
    "Tonga": "Nuku'alofa",
}


class Job(NamedTuple):
    country: str
    reply: SendChan[str]


# ---- Goroutines ----


def work(database: str, jobs: RecvChan[Job], log: SendChan[str]) -> None:
    connection = sqlite3.connect(database, uri=True, check_same_thread=False)
    for job in jobs:
        row = connection.execute("SELECT capital FROM capitals WHERE country = ?", [job.country]).fetchone()
        job.reply.send(row[0] if row else "")
        log.send(job.country)
    connection.close()


# ---- asyncio ----


class Handler:
    def __init__(self, jobs: SendChan[Job]) -> None:
        self.jobs = jobs

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        country = unquote(head.split()[1].decode())[1:]
        reply = Chan[str](1)
        await self.jobs.asend(Job(country, reply.tx))
        capital = await reply.arecv()
        status = "200 OK" if capital else "404 Not Found"
        writer.write(f"HTTP/1.0 {status}\r\nContent-Length: {len(capital)}\r\n\r\n{capital}".encode())
        await writer.drain()
        writer.close()


async def count_lines(log: RecvChan[str]) -> int:
    lines = 0
    async for _ in log:
        lines += 1
    return lines


async def get(port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return body if head.startswith("HTTP/1.0 200") else head.splitlines()[0]


async def main() -> None:
    database = "file:capitals?mode=memory&cache=shared"
    keeper = sqlite3.connect(database, uri=True)
    keeper.execute("CREATE TABLE capitals (country PRIMARY KEY, capital)")
    keeper.executemany("INSERT INTO capitals VALUES (?, ?)", CAPITALS.items())
    keeper.commit()

    jobs, log = Chan[Job](), Chan[str](16)
    workers = WaitGroup()
    for _ in range(WORKERS):
        workers.go(work, database, jobs.rx, log.tx)
    logged = asyncio.ensure_future(count_lines(log.rx))

    async with await asyncio.start_server(Handler(jobs.tx), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        countries = [*CAPITALS, "Atlantis"]
        answers = await asyncio.gather(*(get(port, f"/{country}") for country in countries * 10))
    for country, answer in zip(countries, answers):
        print(f"{country}: {answer}")
    assert answers == answers[: len(countries)] * 10

    jobs.close()
    await asyncio.to_thread(workers.wait)
    log.close()
    print(f"{await logged} requests logged")
    keeper.close()


if __name__ == "__main__":
    asyncio.run(main())
