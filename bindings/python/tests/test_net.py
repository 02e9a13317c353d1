"""gort.net: connections, deadlines, closing, files on them; and patch_socket."""

from __future__ import annotations

import gc
import http.server
import os
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import gort
from gort import net
from starting import KINDS, LONG, Task, thread, until

Start = Callable[..., Task]


@pytest.fixture(params=sorted(KINDS))
def start(request: pytest.FixtureRequest) -> Start:
    return KINDS[request.param]


@pytest.fixture
def listener() -> Iterator[net.Listener]:
    with net.listen("127.0.0.1:0") as made:
        yield made


def pair(listener: net.Listener) -> tuple[net.Conn, net.Conn]:
    """Both ends of a connection."""
    task = thread(listener.accept)
    conn = net.dial(listener.addr, timeout=LONG)
    return conn, task.join()


def test_echo(listener: net.Listener, start: Start) -> None:
    def serve() -> None:
        for conn in listener:
            start(echo, conn)

    def echo(conn: net.Conn) -> None:
        with conn:
            while data := conn.read(1000):
                assert conn.write(data) == len(data)

    def ask(index: int) -> None:
        with net.dial(listener.addr) as conn:
            text = b"%d" % index * 1000
            assert conn.write(text) == len(text)
            conn.close_write()
            assert conn.read(-1) == text
            assert conn.read() == b""

    server = start(serve)
    for task in [start(ask, index) for index in range(20)]:
        task.join()
    ask(99)
    listener.close()
    server.join()


def test_much_is_written_whole(listener: net.Listener, start: Start) -> None:
    """More than the socket's buffers hold: the writer waits, on the main thread in slices."""
    data = os.urandom(1 << 22)

    def take(conn: net.Conn) -> bytes:
        time.sleep(0.12)
        return conn.read(-1)

    for write in (lambda conn: conn.write(data), lambda conn: start(conn.write, memoryview(data)).join()):
        here, there = pair(listener)
        with here, there:
            task = start(take, there)
            assert write(here) == len(data)
            here.close()
            assert task.join() == data


def test_addresses(listener: net.Listener) -> None:
    host, _, port = listener.addr.rpartition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0
    here, there = pair(listener)
    with here, there:
        assert here.peer_addr == listener.addr == there.local_addr
        assert here.local_addr == there.peer_addr
        assert listener.addr in repr(here)
        assert listener.addr in repr(listener)
        assert isinstance(here.fileno(), int)
    assert repr(here) == "<gort.net.Conn closed>"
    with net.listen(("127.0.0.1", 0)) as other, net.dial(("127.0.0.1", int(other.addr.split(":")[1]))):
        pass
    for bad in ((1, 2), ("a", "b"), 7):
        with pytest.raises(TypeError):
            net.dial(bad)  # type: ignore[arg-type]


def test_unix(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with net.listen(path, network="unix") as listener:
        task = thread(listener.accept)
        with net.dial(path, network="unix") as here, task.join() as there:
            here.write(b"x")
            assert there.read() == b"x"


def test_a_dial_that_fails(start: Start) -> None:
    with net.listen("127.0.0.1:0") as listener:
        addr = listener.addr
    for call in (net.dial, lambda where: start(net.dial, where).join()):
        with pytest.raises(ConnectionRefusedError):
            call(addr)
        with pytest.raises(ValueError):
            call("no port")
    with pytest.raises(ValueError):
        net.dial("a\0b:1")
    with pytest.raises(ValueError):
        net.listen("127.0.0.1:0", network="carrier pigeon")
    with pytest.raises(FileNotFoundError):
        net.dial("/there/is/no/such/socket", network="unix")


def test_deadlines(listener: net.Listener, start: Start) -> None:
    here, there = pair(listener)
    with here, there:
        for run in (lambda fn, *args: fn(*args), lambda fn, *args: start(fn, *args).join()):
            here.set_deadline(time.monotonic() + 0.06)
            with pytest.raises(TimeoutError):
                run(here.read)
            there.write(b"late")
            with pytest.raises(TimeoutError):
                run(here.read)
            here.set_read_deadline(None)
            assert run(here.read) == b"late"
            listener.set_deadline(time.monotonic() + 0.06)
            with pytest.raises(TimeoutError):
                run(listener.accept)
            listener.set_deadline(None)
            here.set_write_deadline(time.monotonic() + 0.2)
            with pytest.raises(TimeoutError):
                while True:
                    run(here.write, bytes(1 << 20))
            here.set_deadline(None)
            there.set_deadline(None)
            # What was written in part is there.
            there.set_read_deadline(time.monotonic() + 0.1)
            with pytest.raises(TimeoutError):
                while True:
                    run(there.read, 1 << 20)
            there.set_read_deadline(None)


def test_a_deadline_wakes_who_waits(listener: net.Listener, start: Start) -> None:
    here, there = pair(listener)
    with here, there:
        task = start(here.read)
        time.sleep(0.02)
        assert not task.ended
        here.set_read_deadline(0)
        with pytest.raises(TimeoutError):
            task.join()


def test_the_main_threads_slices_disturb_nobody(listener: net.Listener, start: Start) -> None:
    """It reads with a deadline of its own all the time; who reads beside it is not told of that."""
    here, there = pair(listener)
    with here, there:
        tasks = [start(here.read, 1) for _ in range(3)]
        feeder = thread(lambda: [(time.sleep(0.08), there.write(b"x")) for _ in range(4)])
        assert here.read(1) == b"x"
        feeder.join()
        assert [task.join() for task in tasks] == [b"x"] * 3


def test_close_wakes_who_waits(listener: net.Listener, start: Start) -> None:
    here, there = pair(listener)
    with there:
        tasks = [start(here.read), start(listener.accept), start(lambda: list(listener))]
        time.sleep(0.02)
        assert not any(task.ended for task in tasks)
        here.close()
        listener.close()
        for task in tasks[:2]:
            with pytest.raises(gort.Closed):
                task.join()
        assert tasks[2].join() == []
        for call in (here.read, lambda: here.write(b""), here.fileno, here.close_write, lambda: here.set_deadline(1)):
            with pytest.raises(gort.Closed):
                call()
        here.close()
        assert here.closed
        assert there.read() == b""
        assert not there.closed


def test_files(listener: net.Listener) -> None:
    here, there = pair(listener)
    with here, there:
        with here.makefile("w", encoding="utf-8", newline="\n") as out:
            out.write("ä line\nanother\n")
        with there.makefile("rwb") as both:
            assert both.readline() == "ä line\n".encode()
            both.write(b"reply\n")
            both.flush()
            assert both.readline() == b"another\n"
        with here.makefile() as text:
            assert text.readline() == "reply\n"
        raw = there.makefile("wb", 0)
        assert raw.write(b"1234") == 4
        into = bytearray(10)
        assert here.readinto(into) == 4
        assert into == b"1234" + bytes(6)
        for mode in ("", "a", "x+"):
            with pytest.raises(ValueError):
                here.makefile(mode)
        with pytest.raises(ValueError):
            here.makefile("r", 0)


def test_wait_fd(start: Start) -> None:
    import select

    here, there = socket.socketpair()
    with here, there:
        assert net.wait_fd(here, select.POLLOUT) == select.POLLOUT
        for timeout in (0, -1, 0.01):
            with pytest.raises(TimeoutError):
                start(net.wait_fd, here, select.POLLIN, timeout).join()
        task = start(net.wait_fd, here.fileno(), select.POLLIN)
        there.send(b"x")
        assert task.join() == select.POLLIN
        with pytest.raises(ValueError):
            net.wait_fd(here, 1 << 20)
        with pytest.raises(ValueError):
            net.wait_fd(-1, select.POLLIN)


def test_references_are_as_before(listener: net.Listener) -> None:
    data = b"some bytes " * 100
    into = bytearray(2000)
    here, there = pair(listener)
    objects: list[Any] = [data, into, here, there, listener]

    def use() -> None:
        here.write(data)
        got = 0
        while got < len(data):
            got += there.readinto(into)
        here.set_deadline(0)
        with pytest.raises(TimeoutError):
            here.read(100)
        with pytest.raises(TimeoutError):
            here.write(data)
        with pytest.raises(TypeError):
            here.write("text")  # type: ignore[arg-type]
        with pytest.raises(BufferError):
            into_view = memoryview(into)
            into.extend(b"more")
        into_view = None
        here.set_deadline(None)
        with here.makefile("rb"):
            pass

    with here, there:
        use()
        gc.collect()
        before = [sys.getrefcount(item) for item in objects]
        for _ in range(20):
            use()
        gc.collect()
        assert [sys.getrefcount(item) for item in objects] == before


def test_a_dropped_connection_is_closed(listener: net.Listener) -> None:
    here, there = pair(listener)
    with there:
        del here
        gc.collect()
        assert there.read() == b""


WAITS = {
    "accept": "l = net.listen('127.0.0.1:0'); ready(); l.accept()",
    "read": "l = net.listen('127.0.0.1:0'); c = net.dial(l.addr); ready(); c.read()",
    "write": "l = net.listen('127.0.0.1:0'); c = net.dial(l.addr); ready()\nwhile True: c.write(bytes(1 << 20))",
    "wait_fd": "import os; r, w = os.pipe(); ready(); net.wait_fd(r, 1)",
    # The queue of connections is full: nobody answers.
    "dial": "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(0); a = s.getsockname()\n"
    "threads = [threading.Thread(target=net.dial, args=(a, 1000), daemon=True) for _ in range(5)]\n"
    "for t in threads: t.start()\n"
    "time.sleep(0.3); ready(); net.dial(a)",
}


@pytest.mark.parametrize("name", WAITS)
def test_ctrl_c_ends_a_wait_on_the_main_thread(name: str) -> None:
    program = """
        import os, sys, threading, time
        import gort
        from gort import net
        def ready(): print("ready", flush=True)
    """
    body = textwrap.dedent(program) + "try:\n" + textwrap.indent(WAITS[name], "    ")
    body += "\nexcept KeyboardInterrupt:\n    print('interrupted', flush=True)\n    os._exit(7)\n"
    child = subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert child.wait(LONG) == 7
    finally:
        child.kill()
        child.wait()


# -------------------------------------------------------------------------------------------------- patch_socket


@pytest.fixture
def patched() -> Iterator[None]:
    net.patch_socket()
    net.patch_socket()
    try:
        yield
    finally:
        net.unpatch_socket()


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers after all of its clients have come."""

    protocol_version = "HTTP/1.1"
    expected = 1
    come = threading.Semaphore(0)
    together = threading.Condition()
    count = 0

    def do_GET(self) -> None:
        with Slow.together:
            Slow.count += 1
            Slow.together.notify_all()
            assert Slow.together.wait_for(lambda: Slow.count >= Slow.expected, LONG)
        body = self.path.encode() * 1000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 100


@pytest.fixture
def server() -> Iterator[str]:
    with Server(("127.0.0.1", 0), Slow) as made:
        Slow.count = 0
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


def test_urllib_overlaps(patched: None, server: str, start: Start) -> None:
    Slow.expected = 30

    def ask(index: int) -> None:
        with urllib.request.urlopen(f"{server}/{index}", timeout=LONG) as response:
            assert response.read() == f"/{index}".encode() * 1000

    for task in [start(ask, index) for index in range(30)]:
        task.join()


def test_requests_overlap(patched: None, server: str, start: Start) -> None:
    requests = pytest.importorskip("requests")
    Slow.expected = 20

    def ask(index: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(f"{server}/{index}", timeout=LONG).text == f"/{index}" * 1000

    for task in [start(ask, index) for index in range(20)]:
        task.join()


def test_sockets_keep_their_manners(patched: None, start: Start) -> None:
    def use() -> None:
        here, there = socket.socketpair()
        with here, there:
            here.settimeout(0.02)
            with pytest.raises(socket.timeout):
                here.recv(1)
            here.setblocking(False)
            with pytest.raises(BlockingIOError):
                here.recv(1)
            here.setblocking(True)
            assert here.gettimeout() is None
            data = os.urandom(1 << 21)
            task = start(lambda: there.makefile("rb").read(len(data)))
            here.sendall(data)
            assert task.join() == data
            there.sendmsg([b"ab", b"c"])
            into = bytearray(2)
            assert here.recv_into(into) == 2
            assert here.recv(5) == b"c"
            there.shutdown(socket.SHUT_WR)
            assert here.recv(1) == b""
        with pytest.raises(OSError):
            here.recv(1)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            task = start(listener.accept)
            with socket.create_connection(listener.getsockname(), timeout=LONG) as conn:
                peer, address = task.join()
                with peer:
                    assert address == conn.getsockname()
                    assert conn.gettimeout() == LONG
                    assert conn.send(b"x") == 1
                    assert peer.recvfrom(5)[0] == b"x"
            where = listener.getsockname()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where)
        with socket.socket() as other:
            assert other.connect_ex(where) != 0

    start(use).join()
    use()


def test_unpatched_is_as_before() -> None:
    before = dict(vars(socket.socket)), dict(vars(ssl.SSLSocket))
    net.patch_socket()
    assert vars(socket.socket)["send"] is not before[0].get("send")
    net.unpatch_socket()
    assert (dict(vars(socket.socket)), dict(vars(ssl.SSLSocket))) == before


def test_tls(patched: None, start: Start, tmp_path: Path) -> None:
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
        capture_output=True,
    )
    if made.returncode != 0:
        pytest.skip("there is no openssl to make a certificate")
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    client_side = ssl.create_default_context(cafile=str(tmp_path / "cert"))
    data = os.urandom(1 << 20)

    def serve(plain: socket.socket) -> None:
        with server_side.wrap_socket(plain, server_side=True) as conn:
            with conn.makefile("rb") as file:
                got = file.read(len(data))
            conn.sendall(got)

    def ask(where: Any) -> None:
        with socket.create_connection(where) as plain:
            with client_side.wrap_socket(plain, server_hostname="localhost") as conn:
                conn.sendall(data)
                got = b""
                while len(got) < len(data):
                    got += conn.recv(1 << 16)
                assert got == data

    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients = [start(ask, listener.getsockname()) for _ in range(4)]
        servers = [start(serve, listener.accept()[0]) for _ in range(4)]
        for task in clients + servers:
            task.join()
