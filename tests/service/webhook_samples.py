"""Somebody who receives webhooks."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    """Takes messages on loopback while the block runs.

    Attributes:
        messages: Path, headers and body of each, as they came.
        answers: Status to answer, one after the other, then 204; None answers nothing.
    """

    daemon_threads = True

    def __init__(self, answers=()):
        """Begin to listen."""
        self.messages, self.answers = [], list(answers)
        super().__init__(("127.0.0.1", 0), Taking)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        """Where messages go."""
        return f"http://127.0.0.1:{self.server_port}/hook?a=b"

    def __exit__(self, *arguments):
        """Stop."""
        self.shutdown()
        super().__exit__(*arguments)


class Taking(BaseHTTPRequestHandler):
    """Answers one message."""

    def do_POST(self):
        """Remember it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append((self.path, dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        if status is None:
            time.sleep(0.5)
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.address)
        self.end_headers()

    def log_message(self, *arguments):
        """Be quiet."""
