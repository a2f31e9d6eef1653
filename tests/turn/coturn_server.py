"""Debian's coturn on loopback: UDP and TCP, no TLS, credentials by a shared secret."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_S, STOP_S = 20.0, 10.0
BINDING_REQUEST = bytes.fromhex("000100002112a442")


@dataclass(frozen=True)
class Coturn:
    """A running server."""

    url: str
    secret: str
    secret_file: Path
    folder: Path

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "turn.log").read_text("utf-8", "replace")


@contextmanager
def running(program: str, folder: Path) -> Iterator[Coturn]:
    """Starts the server on a free port, with all its files in `folder`, and stops it."""
    port = _free_port()
    secret_file = folder / "secret"
    secret = os.urandom(16).hex()
    secret_file.write_text(secret, "utf-8")
    config = folder / "turnserver.conf"
    settings = {
        "listening-ip": "127.0.0.1",
        "listening-port": port,
        "relay-ip": "127.0.0.1",
        "relay-threads": 1,
        "realm": "guardian.test",
        "static-auth-secret": secret,
        "userdb": folder / "turn.db",
        "pidfile": folder / "turn.pid",
        "log-file": folder / "turn.log",
    }
    switches = ("use-auth-secret", "allow-loopback-peers", "no-cli", "no-tls", "no-dtls", "simple-log")
    lines = [*(f"{name}={value}" for name, value in settings.items()), *switches, ""]
    config.write_text("\n".join(lines), "utf-8")
    process = subprocess.Popen(
        [program, "-c", str(config)],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _until_it_answers(port, process)
        yield Coturn(f"turn:127.0.0.1:{port}", secret, secret_file, folder)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        return holder.getsockname()[1]


def _until_it_answers(port: int, process: subprocess.Popen) -> None:
    """Asks for its own address by STUN until there is an answer."""
    deadline = time.monotonic() + START_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(0.2)
        asker.connect(("127.0.0.1", port))
        while True:
            assert process.poll() is None, "coturn did not start"
            assert time.monotonic() < deadline, f"coturn did not answer within {START_S} s"
            try:
                asker.send(BINDING_REQUEST + os.urandom(12))
                asker.recv(1500)
            except (TimeoutError, ConnectionRefusedError):
                time.sleep(0.05)
            else:
                return
