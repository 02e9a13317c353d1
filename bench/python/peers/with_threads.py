"""threading and queue of the standard library. Ping-pong uses queue.SimpleQueue, which is the faster one but has no
bound; `buffered` uses queue.Queue, which has."""

import common
import queue
import socket
import threading
import time


def nothing():
    pass


def spawn_join(n):
    for _ in range(n):
        thread = threading.Thread(target=nothing)
        thread.start()
        thread.join()


def spawn_many(n):
    for start in range(0, n, 1000):
        threads = [threading.Thread(target=nothing) for _ in range(min(1000, n - start))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def pingpong(n):
    there, back = queue.SimpleQueue(), queue.SimpleQueue()

    def answer():
        for _ in range(n):
            back.put(there.get())

    thread = threading.Thread(target=answer)
    thread.start()
    for i in range(n):
        there.put(i)
        back.get()
    thread.join()


def buffered(n):
    q = queue.Queue(128)
    put, get = q.put, q.get
    for i in range(n):
        put(i)
        get()


def select_default(n):
    """It has no such thing: looks at one queue after the other."""
    queues = queue.SimpleQueue(), queue.SimpleQueue()
    for _ in range(n):
        for q in queues:
            try:
                q.get_nowait()
                break
            except queue.Empty:
                pass


def mutex(n):
    lock = threading.Lock()
    for _ in range(n):
        with lock:
            pass


def mutex_8(n):
    lock = threading.Lock()

    def work():
        for _ in range(n // 8):
            with lock:
                time.sleep(0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def parked(n):
    q = queue.SimpleQueue()
    threads = [threading.Thread(target=q.get) for _ in range(n)]
    with common.Memory(n) as memory:
        for thread in threads:
            thread.start()
        time.sleep(1)
    for _ in range(n):
        q.put(None)
    for thread in threads:
        thread.join()
    return memory.result


def sleeping(n):
    with common.Span(n, common.SLEEP) as span:
        threads = [threading.Thread(target=time.sleep, args=[common.SLEEP]) for _ in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return span.result


def echo(_):
    def serve(client):
        with client:
            while True:
                data = client.recv(4096)
                if not data:
                    return
                client.sendall(data)

    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    common.listening(listener.getsockname()[1])
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=[client], daemon=True).start()


if __name__ == "__main__":
    common.main(globals())
