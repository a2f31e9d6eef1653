"""A receiver of webhooks that is told to misbehave: `python tests/chaos/taking.py PORT SECRET TAKEN MOOD`.

It has nothing of Guardian in it: signatures are checked by the public `standardwebhooks` library. TAKEN is a
file of JSON lines, one for each event that was taken, written before the answer. MOOD is a file that holds
one word: `fine`, `slow`, `500` or `cut` (the connection, half of the times after the event was taken).
"""

import json
import os
import random
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks.webhooks import Webhook


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    signature: Webhook
    taken: int
    mood: Path

    def do_POST(self):
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:  # whoever sent it was killed
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        event = self.signature.verify(body, headers)
        mood = self.mood.read_text()
        if mood == "slow":
            time.sleep(random.uniform(0.0, 0.4))
        lost = mood == "cut" and random.random() < 0.5
        if mood != "500" and not lost:
            self.take(event, headers["webhook-id"])
        if mood == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response(500 if mood == "500" else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def take(self, event, webhook_id):
        row = {key: event[key] for key in ("id", "source", "sequence", "type")} | {"webhook-id": webhook_id}
        # One write: a kill leaves whole lines only.
        os.write(self.taken, json.dumps(row).encode() + b"\n")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Cut connections end in errors here."""
        if not isinstance(sys.exc_info()[1], OSError):
            os.write(2, repr(sys.exc_info()[1]).encode() + b"\n")


if __name__ == "__main__":
    port, secret, taken, mood = sys.argv[1:]
    Handler.signature = Webhook(secret)
    Handler.taken = os.open(taken, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    Handler.mood = Path(mood)
    Server(("127.0.0.1", int(port)), Handler).serve_forever()
