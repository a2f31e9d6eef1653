"""Debian's Janus on free ports of this machine, with two VideoRooms: a raw one and a public one."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

RAW_ROOM, PUBLIC_ROOM = 1001, 1002
RAW_PIN, PUBLIC_PIN = "only-shopper-and-guardian", "merchant-may"


@dataclass
class Janus:
    """A running server."""

    url: str
    origin: str
    process: subprocess.Popen
    folder: Path

    def log(self) -> str:
        return (self.folder / "janus.log").read_text("utf-8", "replace")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(folder: Path) -> Iterator[Janus]:
    """Starts Janus with the HTTP transport and the VideoRoom plugin only, and stops it."""
    folder.mkdir(parents=True, exist_ok=True)
    program = shutil.which("janus")
    assert program is not None
    port = free_port()
    plugins = next(Path("/usr/lib").glob("*/janus/plugins"))
    transports = next(Path("/usr/lib").glob("*/janus/transports"))
    chosen = {"plugins": plugins / "libjanus_videoroom.so", "transports": transports / "libjanus_http.so"}
    for name, library in chosen.items():
        (folder / name).mkdir(exist_ok=True)
        link = folder / name / library.name
        if not link.exists():
            link.symlink_to(library)
    (folder / "janus.jcfg").write_text(
        "general: {\n"
        f'  configs_folder = "{folder}"\n  plugins_folder = "{folder}/plugins"\n'
        f'  transports_folder = "{folder}/transports"\n'
        "  debug_level = 4\n  session_timeout = 20\n}\n"
        'nat: {\n  ice_ignore_list = "vmnet"\n}\n',
        "utf-8",
    )
    (folder / "janus.transport.http.jcfg").write_text(
        f'general: {{\n  http = true\n  port = {port}\n  ip = "127.0.0.1"\n  https = false\n}}\n'
        "admin: {\n  admin_http = false\n}\n",
        "utf-8",
    )
    rooms = f'general: {{\n  admin_key = "{secrets.token_urlsafe()}"\n}}\n' + "".join(
        f'room-{room}: {{\n  pin = "{pin}"\n  secret = "{secrets.token_urlsafe()}"\n  is_private = true\n'
        '  publishers = 6\n  audiocodec = "opus"\n  videocodec = "vp8,h264"\n  record = false\n}\n'
        for room, pin in ((RAW_ROOM, RAW_PIN), (PUBLIC_ROOM, PUBLIC_PIN))
    )
    (folder / "janus.plugin.videoroom.jcfg").write_text(rooms, "utf-8")
    with (folder / "janus.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-F", str(folder), "-C", str(folder / "janus.jcfg"), "--disable-colors"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    origin = f"http://127.0.0.1:{port}"
    server = Janus(f"{origin}/janus", origin, process, folder)
    try:
        _wait_for(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(server: Janus) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.log()
        try:
            if httpx.get(f"{server.url}/info", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"Janus did not start: {server.log()}")
