"""A real receiver on this machine's loopback, which answers as a test wants."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def receiver(answer=lambda number: (204, {})):
    """Yields (url, got): `got` lists (path, headers, body). `answer` says status and headers for the n-th POST, or None for no answer at all."""
    got, over = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            said = answer(len(got))
            if said is None:
                over.wait(30)  # until the test is over
                self.close_connection = True
                return
            status, headers = said
            self.send_response(status)
            for name, value in {"content-length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/in", got
    finally:
        over.set()
        server.shutdown()
        server.server_close()
