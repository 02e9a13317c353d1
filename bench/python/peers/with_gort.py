"""gort: goroutines, started and run from a main goroutine."""

import common
from contextlib import suppress

from gort import Chan, Mutex, WaitGroup, go, gosched, net, run, select, sleep


def nothing():
    pass


def spawn_join(n):
    wg = WaitGroup()
    for _ in range(n):
        wg.go(nothing)
        wg.wait()


def spawn_many(n):
    wg = WaitGroup()
    for start in range(0, n, 1000):
        for _ in range(min(1000, n - start)):
            wg.go(nothing)
        wg.wait()


def pingpong(n):
    there, back = Chan(), Chan()

    def answer():
        for value in there:
            back.send(value)

    go(answer)
    for i in range(n):
        there.send(i)
        back.recv()
    there.close()


def buffered(n):
    chan = Chan(128)
    send, recv = chan.send, chan.recv
    for i in range(n):
        send(i)
        recv()


def select_(n):
    a, b = Chan(), Chan()

    def feed(chan):
        for i in range(n // 2):
            chan.send(i)

    go(feed, a)
    go(feed, b)
    for _ in range(n // 2 * 2):
        select(a, b)


def select_default(n):
    a, b = Chan(), Chan()
    for _ in range(n):
        select(a, b, default=True)


def mutex(n):
    lock = Mutex()
    for _ in range(n):
        with lock:
            pass


def mutex_8(n):
    lock, wg = Mutex(), WaitGroup()

    def work():
        for _ in range(n // 8):
            with lock:
                gosched()

    for _ in range(8):
        wg.go(work)
    wg.wait()


def parked(n):
    gate, wg = Chan(), WaitGroup()
    with common.Memory(n) as memory:
        for _ in range(n):
            wg.go(gate.recv_ok)
        gosched()
    gate.close()
    wg.wait()
    return memory.result


def sleeping(n):
    wg = WaitGroup()
    with common.Span(n, common.SLEEP) as span:
        for _ in range(n):
            wg.go(sleep, common.SLEEP)
        wg.wait()
    return span.result


def echo(_):
    def serve(conn):
        with conn, suppress(OSError):
            while True:
                data = conn.read(4096)
                if not data:
                    return
                conn.write(data)

    with net.listen("127.0.0.1:0") as listener:
        common.listening(int(listener.addr.rpartition(":")[2]))
        while True:
            go(serve, listener.accept())


if __name__ == "__main__":
    run(common.main, dict(globals(), select=select_))
