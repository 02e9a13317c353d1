"""gevent: greenlets, gevent.queue.Channel and Queue."""

import common
import gevent
from gevent.lock import BoundedSemaphore
from gevent.queue import Channel, Empty, Queue
from gevent.server import StreamServer


def nothing():
    pass


def spawn_join(n):
    for _ in range(n):
        gevent.spawn(nothing).join()


def spawn_many(n):
    for start in range(0, n, 1000):
        gevent.joinall([gevent.spawn(nothing) for _ in range(min(1000, n - start))])


def pingpong(n):
    there, back = Channel(), Channel()

    def answer():
        for _ in range(n):
            back.put(there.get())

    task = gevent.spawn(answer)
    for i in range(n):
        there.put(i)
        back.get()
    task.join()


def buffered(n):
    queue = Queue(128)
    put, get = queue.put, queue.get
    for i in range(n):
        put(i)
        get()


def select_default(n):
    """It has no such thing: looks at one queue after the other."""
    queues = Queue(1), Queue(1)
    for _ in range(n):
        for queue in queues:
            try:
                queue.get_nowait()
                break
            except Empty:
                pass


def mutex(n):
    lock = BoundedSemaphore()
    for _ in range(n):
        with lock:
            pass


def mutex_8(n):
    lock = BoundedSemaphore()

    def work():
        for _ in range(n // 8):
            with lock:
                gevent.sleep(0)

    gevent.joinall([gevent.spawn(work) for _ in range(8)])


def parked(n):
    queue = Queue()
    with common.Memory(n) as memory:
        tasks = [gevent.spawn(queue.get) for _ in range(n)]
        gevent.sleep(0)
    for _ in range(n):
        queue.put(None)
    gevent.joinall(tasks)
    return memory.result


def sleeping(n):
    with common.Span(n, common.SLEEP) as span:
        gevent.joinall([gevent.spawn(gevent.sleep, common.SLEEP) for _ in range(n)])
    return span.result


def echo(_):
    def serve(client, _):
        while True:
            data = client.recv(4096)
            if not data:
                return
            client.sendall(data)

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    common.listening(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    common.main(globals())
