"""Hundreds of HTTP requests at once with urllib, unchanged: a goroutine for each.

The server, a standard `http.server` whose connections are goroutines too, answers nobody before all have asked. One
after the other, or a few at a time, would wait for ever; that the program ends shows that all were under way at once.
"""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import socket
from typing import Any, List
from urllib.request import urlopen

from gort import Chan, Group, Mutex, go, run

REQUESTS = 200


class GoHTTPServer(HTTPServer):
    """As `http.server.ThreadingHTTPServer`, with goroutines."""

    request_queue_size = REQUESTS

    def process_request(self, request: Any, client_address: Any) -> None:
        go(self.serve, request, client_address)

    def serve(self, request: socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)


class Meeting:
    """`join` returns when all have come."""

    def __init__(self, size: int) -> None:
        self.lock = Mutex()
        self.missing = size
        self.complete = Chan[None]()

    def join(self) -> None:
        with self.lock:
            self.missing -= 1
            if self.missing == 0:
                self.complete.close()
        self.complete.recv_ok()


meeting = Meeting(REQUESTS)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        number = int(self.path[1:])
        meeting.join()
        body = json.dumps({"number": number, "square": number**2}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    squares: List[int] = [0] * REQUESTS

    def ask(number: int) -> None:
        with urlopen(f"http://127.0.0.1:{server.server_port}/{number}") as answer:
            squares[number] = json.load(answer)["square"]

    with GoHTTPServer(("127.0.0.1", 0), Handler) as server:
        go(server.serve_forever, 0.05)
        with Group() as group:
            for number in range(REQUESTS):
                group.go(ask, number)
        server.shutdown()
    right = sum(square == number**2 for number, square in enumerate(squares))
    print(f"{REQUESTS} requests at once, {right} right answers")


if __name__ == "__main__":
    run(main)
