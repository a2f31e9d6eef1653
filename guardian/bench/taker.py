"""A receiver of webhooks that takes everything: `python -m guardian.bench.taker` prints its port.

Endpoints are its paths. At the end of its input it prints, as JSON, how many events each path was sent, how
many came out of order within their call, and of each call its numbers and types.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_ANSWER = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class OfCall:
    """The events of one source that one path was sent, each once."""

    numbers: set[int] = field(default_factory=set)
    types: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """last: the highest number; missing: of those up to it, how many never came."""
        last = max(self.numbers, default=0)
        return {"last": last, "missing": last - len(self.numbers), "types": self.types}


class Taker:
    """Counts."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.disordered = 0
        self.calls: dict[tuple[str, str], OfCall] = {}
        self._last: dict[tuple[str, str], int] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = head.split("\r\n")
                length = next(
                    int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length")
                )
                self._take(lines[0].split(" ")[1], json.loads(await reader.readexactly(length)))
                writer.write(_ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _take(self, path: str, event: dict[str, str]) -> None:
        key, number = (path, event["source"]), int(event["sequence"])
        self.disordered += number <= self._last.get(key, 0)
        self._last[key] = number
        self.taken[path] += 1
        of_call = self.calls.setdefault(key, OfCall())
        if number not in of_call.numbers:
            of_call.numbers.add(number)
            of_call.types[kind(event)] += 1


def kind(event: dict[str, Any]) -> str:
    """Its type as `call.left`; of that one also whether one leg or the whole call is meant."""
    name = ".".join(event["type"].split(".")[-3:-1])
    whole = name == "call.left" and event.get("data", {}).get("role") is None
    return "call.left whole" if whole else name


@contextmanager
def taking() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A receiver in a process of its own, and its port. `account` ends it and has what it took."""
    process = subprocess.Popen(
        [sys.executable, "-m", "guardian.bench.taker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait(20)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def account(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Ends a receiver; blocks. {"taken": {path: n}, "disordered": n, "calls": [{"path", "source", …}]}."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


async def main() -> None:
    """Serves until the input ends."""
    taker = Taker()
    server = await asyncio.start_server(taker.serve, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.buffer.read)
    calls = [{"path": path, "source": of, **one.as_dict()} for (path, of), one in taker.calls.items()]
    told = {"taken": taker.taken, "disordered": taker.disordered, "calls": calls}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
