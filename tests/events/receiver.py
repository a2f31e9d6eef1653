"""A webhook receiver on loopback that checks signatures as a real one would."""

import asyncio
import json
from contextlib import asynccontextmanager

from standardwebhooks.webhooks import Webhook


class Receiver:
    def __init__(self, secret: str, answers=()) -> None:
        self.signature = Webhook(secret)
        self.answers = list(answers)
        self.tries: list[str] = []
        self.taken: list[dict] = []
        self.url = ""

    async def _serve(self, reader, writer) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader, writer) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")[1:-2]
        headers = dict(line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in headers.items()}
        body = await reader.readexactly(int(headers["content-length"]))
        self.signature.verify(body, headers)
        event = json.loads(body)
        assert headers["webhook-id"] == event["id"]
        assert headers["content-type"] == "application/cloudevents+json"
        self.tries.append(event["id"])
        answer = self.answers.pop(0) if self.answers else "204 No Content"
        if answer.startswith("2"):
            self.taken.append(event)
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        return True


@asynccontextmanager
async def receiving(secret: str, answers=()):
    receiver = Receiver(secret, answers)
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0)
    async with server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        yield receiver
