"""Throw-away servers of others: PostgreSQL and NATS, on free ports, ended with the test."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from guardian.store.database import StoreConfig
from guardian.store.upgrade import open_store

START_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    """Until somebody listens there."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace")[-2000:])


def _owner() -> str | None:
    """PostgreSQL does not run as root: somebody else has to."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@dataclass
class Postgres:
    """One cluster. programs: the folder of initdb and postgres."""

    programs: Path
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    _made: int = 0
    _made_store: str = ""

    def start(self) -> None:
        log = self.folder / "log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port),
                    "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}",
                    # A killed program loses nothing by it, only a machine without power would.
                    "-c", "fsync=off", "-c", "max_connections=50",
                ],
                user=_owner(), cwd=self.folder, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        wait_for(self.port, self.process, log)
        until = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < until, log.read_text(errors="replace")[-2000:]
            time.sleep(0.05)

    def _answers(self) -> bool:
        """It listens before it answers; its own file says when, as `pg_ctl --wait` reads it."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self.folder / "data/postmaster.pid").read_text().split()
            return lines[:1] == [str(self.process.pid)] and lines[-1] == "ready"
        return False

    def kill(self) -> None:
        """All of its processes at once, as when the machine runs out of memory."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def made_store(self) -> str:
        """The url of a new store that has its tables: a copy, as making them takes long."""
        if not self._made_store:
            url = self.database()
            open_store(StoreConfig(Path("unused"), url)).close()
            self._made_store = url.rpartition("/")[2]
        return self.database(self._made_store)

    def database(self, like: str = "template1") -> str:
        """The url of a new database: empty, or a copy of another one's."""
        import psycopg

        self._made += 1
        name = f"guardian_{self._made}"
        until = time.monotonic() + START_S
        while True:
            try:
                with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as admin:
                    admin.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
                return self.url(name)
            except psycopg.OperationalError:  # it listens before it answers
                assert time.monotonic() < until
                time.sleep(0.1)

    def url(self, name: str) -> str:
        return f"postgresql://guardian@127.0.0.1:{self.port}/{name}"


@contextlib.contextmanager
def postgres(programs: Path) -> Iterator[Postgres]:
    """A running cluster, in a folder its user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="guardian-pg-"))
    owner = _owner()
    try:
        folder.chmod(0o755)
        if owner is not None:
            shutil.chown(folder, owner)
        subprocess.run(
            [
                programs / "initdb", "-D", folder / "data", "-U", "guardian", "--auth=trust",
                "--encoding=UTF8", "--locale=C", "--no-sync",
            ],
            user=owner, cwd=folder, check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        cluster = Postgres(programs, folder)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Nats:
    """One nats-server with JetStream, its streams in a folder."""

    program: Path
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        log = self.folder / "log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [self.program, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", self.folder / "js"],
                stdout=out, stderr=out,
            )  # fmt: skip
        wait_for(self.port, self.process, log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)

    def signal(self, number: int) -> None:
        """SIGSTOP: it takes connections and answers nothing, as behind a network that is cut."""
        if self.process is not None:
            self.process.send_signal(number)

    def forget(self) -> None:
        """Its streams are gone at the next start."""
        shutil.rmtree(self.folder / "js", ignore_errors=True)


@contextlib.contextmanager
def nats(program: Path) -> Iterator[Nats]:
    folder = Path(tempfile.mkdtemp(prefix="guardian-nats-"))
    server = Nats(program, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
