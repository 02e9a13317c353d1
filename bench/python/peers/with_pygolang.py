"""pygolang 0.1: its goroutines are threads in a plain `python`."""

import common
from golang import chan, default, go, select as golang_select
from golang import sync, time as golang_time


def nothing():
    pass


def done_after(wg, fn):
    def call():
        fn()
        wg.done()

    return call


def spawn_join(n):
    wg = sync.WaitGroup()
    work = done_after(wg, nothing)
    for _ in range(n):
        wg.add(1)
        go(work)
        wg.wait()


def spawn_many(n):
    wg = sync.WaitGroup()
    work = done_after(wg, nothing)
    for start in range(0, n, 1000):
        for _ in range(min(1000, n - start)):
            wg.add(1)
            go(work)
        wg.wait()


def pingpong(n):
    there, back = chan(), chan()

    def answer():
        for _ in range(n):
            back.send(there.recv())

    go(answer)
    for i in range(n):
        there.send(i)
        back.recv()


def buffered(n):
    ch = chan(128)
    send, recv = ch.send, ch.recv
    for i in range(n):
        send(i)
        recv()


def select(n):
    a, b = chan(), chan()

    def feed(ch):
        for i in range(n // 2):
            ch.send(i)

    go(feed, a)
    go(feed, b)
    for _ in range(n // 2 * 2):
        golang_select(a.recv, b.recv)


def select_default(n):
    a, b = chan(), chan()
    for _ in range(n):
        golang_select(a.recv, b.recv, default)


def mutex(n):
    lock = sync.Mutex()
    for _ in range(n):
        with lock:
            pass


def mutex_8(n):
    lock, wg = sync.Mutex(), sync.WaitGroup()

    def work():
        for _ in range(n // 8):
            with lock:
                golang_time.sleep(0)
        wg.done()

    for _ in range(8):
        wg.add(1)
        go(work)
    wg.wait()


def parked(n):
    gate, wg = chan(), sync.WaitGroup()
    work = done_after(wg, gate.recv_)
    with common.Memory(n) as memory:
        for _ in range(n):
            wg.add(1)
            go(work)
        golang_time.sleep(1)
    gate.close()
    wg.wait()
    return memory.result


def sleeping(n):
    wg = sync.WaitGroup()
    work = done_after(wg, lambda: golang_time.sleep(common.SLEEP))
    with common.Span(n, common.SLEEP) as span:
        for _ in range(n):
            wg.add(1)
            go(work)
        wg.wait()
    return span.result


if __name__ == "__main__":
    common.main(globals())
