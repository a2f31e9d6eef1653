"""Where events go in a fleet: a stream of NATS JetStream, which keeps each id once."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

from guardian.core.delivery import Due
from guardian.events.addresses import Addresses, Place
from guardian.events.delivery import DeliveryFailed
from guardian.events.envelope import CONTENT_TYPE

TIMEOUT_S = 15.0
_ANSWER_S = 10.0
_PORT = 4222


@dataclass(frozen=True, slots=True)
class JetStreamTarget:
    """A stream. url: nats:// or tls://. subject: events go to `subject.violation.detected` and so on.

    The stream is made where it is not there; it then remembers ids for `dedupe_s` seconds.
    """

    name: str
    url: str
    subject: str
    stream: str
    dedupe_s: float = 3600.0
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    allow_private: bool = False


class JetStreamSink:
    """One connection, made anew when it is lost, to the configured server and to no other of its cluster."""

    def __init__(self, target: JetStreamTarget) -> None:
        self.name = target.name
        self.timeout_s = TIMEOUT_S
        self._target = target
        parts = urlsplit(target.url)
        self._tls = parts.scheme == "tls"
        self._place = Place(target.name, parts.hostname or "", parts.port or _PORT, target.allow_private)
        self._addresses = Addresses(self._place)
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def close(self) -> None:
        """Ends the connection."""
        self._addresses.close()
        await self._hang_up()

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await client.close()

    async def deliver(self, event: Due) -> None:
        """Returns when the stream has the event, also from an earlier try. DeliveryFailed otherwise."""
        headers = {"Nats-Msg-Id": event.event_id, "Content-Type": CONTENT_TYPE}
        subject = f"{self._target.subject}.{event.type}"
        try:
            stream = await self._stream()
            await stream.publish(
                subject, event.body, timeout=_ANSWER_S, stream=self._target.stream, headers=headers
            )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise DeliveryFailed(f"{self.name}: {type(error).__name__}") from error

    async def _stream(self) -> JetStreamContext:
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                await self._hang_up()
                self._client = await self._connect()
            return self._client.jetstream()

    async def _connect(self) -> Client:
        address = await self._addresses.one()
        host = f"[{address}]" if ":" in address else address
        client = Client()
        secured: dict[str, Any] = (
            {"tls": ssl.create_default_context(), "tls_hostname": self._place.host} if self._tls else {}
        )
        try:
            await client.connect(
                f"{'tls' if self._tls else 'nats'}://{host}:{self._place.port}",
                name="guardian",
                # Servers tell of others of their cluster: nobody has configured those.
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=5,
                error_cb=_silent,
                user=self._target.username or None,
                password=self._target.password or None,
                token=self._target.token or None,
                **secured,
            )
            await self._ensure(client.jetstream())
        except BaseException:
            await client.close()
            raise
        return client

    async def _ensure(self, context: JetStreamContext) -> None:
        target = self._target
        try:
            await context.stream_info(target.stream)
        except NotFoundError:
            await context.add_stream(
                StreamConfig(
                    name=target.stream,
                    subjects=[f"{target.subject}.>"],
                    storage=StorageType.FILE,
                    duplicate_window=target.dedupe_s,
                )
            )


async def _silent(_: Exception) -> None:
    """Whoever delivers hears of it."""
