"""A web server on this machine, for tests of downloads: it gives files, knows ranges, and can be told to misbehave."""

import contextlib
import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from ``server.files``."""

    def do_GET(self):
        """Send a file or the rest of one."""
        server, wanted = self.server, self.headers.get("Range")
        server.seen.append((self.path, wanted))
        if self.path not in server.files:
            return self.send_error(404)
        data = server.files[self.path]
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.resumes else 0
        if start >= len(data) > 0:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", server.content_type)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # whoever asked may have had enough
            self.wfile.write(data[start : server.cut])

    def log_message(self, *_):
        """Keep quiet."""


@contextlib.contextmanager
def running_website():
    """Yield a server.

    Attributes:
        url: where it is.
        files: path -> bytes, to be filled.
        seen: (path, range asked for) of every request.
        cut: the byte at which every answer ends too early; None for never.
        resumes: whether it understands ranges.
        content_type: what it says that every file is.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.seen, server.cut, server.resumes = {}, [], None, True
    server.content_type, server.url = "application/octet-stream", f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
