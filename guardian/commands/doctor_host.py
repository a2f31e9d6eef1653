"""What `guardian doctor` looks at for those who run a server: folders, ports, limits, connections."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from guardian.commands.checks import Check, Verdict

if TYPE_CHECKING:
    from guardian.settings import Settings

_CONNECT_S = 3.0
_NATS_PORT = 4222
_INFO_BYTES = 65_536
_FILES_PER_CALL = 64
_FILES = 256
_EARLIEST = 1_760_000_000.0
"""A clock before this (October 2025) was never set."""


def examine_host(settings: Settings, slots: int) -> Iterator[Check]:
    """The checks, with the settings `serve` would use. slots: calls there is room for."""
    yield from _folders(settings)
    yield _files(slots)
    yield _udp(settings, slots)
    yield _receive_buffer()
    yield _clock()
    yield from _connections(settings)
    if settings.fleet.url:
        yield _broker(settings.fleet.url)


def _folders(settings: Settings) -> Iterator[Check]:
    least = settings.store.min_free_bytes
    without = (
        ("data folder", settings.data_path, Verdict.FAIL),
        ("clips", settings.evidence_path, Verdict.WARN),
    )
    for name, folder, verdict in without:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            advice = f"Make {folder} writable for user {os.getuid()}, or name another one."
            yield Check(name, verdict, f"{there}: {error.strerror}", advice)
            continue
        free = shutil.disk_usage(there).free
        found = f"{folder}, {free >> 20} MiB free"
        if free < least:
            yield Check(
                name, Verdict.WARN, found, f"New calls are refused below {least >> 20} MiB: free some."
            )
        else:
            yield Check(name, Verdict.OK, found)


def _files(slots: int) -> Check:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES + _FILES_PER_CALL * slots
    if limit != resource.RLIM_INFINITY and limit < wanted:
        advice = f"Allow {wanted} (`ulimit -n`, LimitNOFILE of systemd) for {slots} calls."
        return Check("open files", Verdict.WARN, f"{limit} at most", advice)
    return Check("open files", Verdict.OK, "any" if limit == resource.RLIM_INFINITY else f"{limit} at most")


def _udp(settings: Settings, slots: int) -> Check:
    ports = settings.media.udp_ports
    if not ports:
        return Check("udp ports", Verdict.OK, "any")
    first, last = ports
    taken = [port for port in range(first, last + 1) if not _free(port)]
    room = last - first + 1 - len(taken)
    found = f"{first} to {last}, {len(taken)} taken"
    if room < 2 * slots:
        advice = (
            f"{slots} calls take {2 * slots} of them, twice as many while legs come back: widen the range."
        )
        return Check("udp ports", Verdict.WARN, found, advice)
    return Check("udp ports", Verdict.OK, found)


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def _receive_buffer() -> Check:
    try:
        most = int(Path("/proc/sys/net/core/rmem_max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return Check("receive buffer", Verdict.OK, "not known here")
    if most < 1 << 20:
        advice = "Bursts are lost when the machine is busy: `sysctl net.core.rmem_max=1048576`."
        return Check("receive buffer", Verdict.WARN, f"{most} bytes at most", advice)
    return Check("receive buffer", Verdict.OK, f"{most} bytes at most")


def _clock() -> Check:
    now = time.time()
    found = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if now < _EARLIEST:
        return Check(
            "clock", Verdict.WARN, found, "Set the clock: tokens, retention and signatures go by it."
        )
    return Check("clock", Verdict.OK, found)


def _connections(settings: Settings) -> Iterator[Check]:
    """Whether what is configured can be reached; nothing is sent."""
    places = []
    if settings.store.url:
        places.append(("store", settings.store.url, 5432, Verdict.FAIL))
    places += [(f"nats {one.name}", one.url, 4222, Verdict.WARN) for one in settings.events.nats]
    for name, url, usual, verdict in places:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or usual
        try:
            socket.create_connection((host, port), timeout=_CONNECT_S).close()
        except OSError as error:
            advice = "Start it, or mend its address in the settings, the firewall or the NetworkPolicy."
            yield Check(name, verdict, f"{host}:{port}: {error.strerror or error}", advice)
        else:
            yield Check(name, Verdict.OK, f"{host}:{port} answers")


def _broker(url: str) -> Check:
    """What the fleet's NATS server says of itself before anybody signs in."""
    parts = urlsplit(url)
    host, port = parts.hostname or "localhost", parts.port or _NATS_PORT
    name, where = "nats of the fleet", f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_S) as connection:
            connection.settimeout(_CONNECT_S)
            with connection.makefile("rb") as lines:
                said = lines.readline(_INFO_BYTES)
    except OSError as error:
        advice = (
            "Start it, or mend `fleet.url`, the firewall or the NetworkPolicy: no call is placed without it."
        )
        return Check(name, Verdict.FAIL, f"{where}: {error.strerror or error}", advice)
    try:
        about = json.loads(said.removeprefix(b"INFO ")) if said.startswith(b"INFO {") else None
    except ValueError:
        about = None
    if not isinstance(about, dict):
        return Check(name, Verdict.FAIL, f"{where} is no NATS server", "Mend `fleet.url`.")
    found = f"{where} answers, version {str(about.get('version', 'unknown'))[:32]}"
    if about.get("jetstream") is not True:
        advice = (
            "Switch JetStream on there: `jetstream { store_dir: ... }` in its settings, or `nats-server -js`."
        )
        return Check(name, Verdict.FAIL, f"{found}, without JetStream", advice)
    return Check(name, Verdict.OK, f"{found}, with JetStream")
