"""A receiver of webhooks that takes everything: `python -m guardian.bench.taker` prints its port.

Endpoints are its paths. At the end of its input it prints, as JSON, how many events each path was sent and
how many came out of order within their call.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

_ANSWER = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


class Taker:
    """Counts."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.disordered = 0
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


async def main() -> None:
    """Serves until the input ends."""
    taker = Taker()
    server = await asyncio.start_server(taker.serve, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.buffer.read)
    sys.stdout.write(json.dumps({"taken": taker.taken, "disordered": taker.disordered}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
