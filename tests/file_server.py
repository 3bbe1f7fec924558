"""A server of some bytes on this machine, for tests of downloads."""

import contextlib
import functools
import http.server
import socket
import threading


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves `content`, in parts when asked, and remembers the ranges asked for."""

    def __init__(self, content, ranges, resumes, claimed, *args):
        self.content, self.ranges, self.resumes, self.claimed = content, ranges, resumes, claimed
        super().__init__(*args)

    def do_GET(self):  # noqa: N802 - the name that http.server calls
        wanted = self.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.resumes else 0
        if start >= len(self.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str((self.claimed or len(self.content)) - start))
        self.end_headers()
        self.wfile.write(self.content[start:])

    def log_message(self, *args):
        """Stay silent."""


@contextlib.contextmanager
def serving():
    """Gives `start(content, resumes=True, claimed=None)`: the address of a new server and the ranges asked of it.

    `resumes` False ignores ranges; `claimed` is a length to announce, longer than `content`.
    """
    servers = []

    def start(content, resumes=True, claimed=None):
        ranges = []
        handler = functools.partial(_Handler, content, ranges, resumes, claimed)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}", ranges

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def dead_address():
    """An address on this machine at which nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
