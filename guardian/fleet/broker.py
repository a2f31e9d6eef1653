"""The one connection of a node to the NATS server of its fleet, made anew when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from guardian.core.errors import Unavailable
from guardian.fleet.tasks import until_one_ends

ANSWER_S = 1.5
"""How long the broker may take to answer."""
MAX_BYTES = 900_000
"""Of one message: NATS takes a megabyte unless it was told otherwise."""
_CONNECT_S = 3
_AGAIN_S = 0.3
_PING_S = 2
_NODES_KEPT_S = 3600.0
_DELETED = ("DEL", "PURGE")
_QUEUED = 1000
_AWAY = "The broker of the fleet cannot be reached; try again."


@dataclass(frozen=True, slots=True)
class BrokerTarget:
    """Where the broker is. url: nats:// or tls://. name: of the fleet, before all its subjects."""

    url: str
    name: str = "guardian"
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """Times of a fleet in seconds. calls_kept: how long a record of a call stays after its last change."""

    lease_s: float = 6.0
    renew_s: float = 1.0
    place_s: float = 2.0
    calls_kept_s: float = 86_400.0


class Again(Unavailable):
    """The connection is wanted anew, though nothing is wrong with it."""


class NobodyThere(Unavailable):
    """Nobody listens on that subject: what was sent has reached nobody."""


class Changed(Exception):
    """A key was changed by somebody else in the meantime, or is there already."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key as it is. value: None for one that was deleted."""

    key: str
    value: bytes | None
    revision: int


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """What goes wrong with the broker is Unavailable, in one sentence."""
    try:
        yield
    except KeyWrongLastSequenceError as error:
        raise Changed from error
    except nats.errors.NoRespondersError as error:
        raise NobodyThere(_AWAY) from error
    except (nats.errors.Error, OSError, TimeoutError, EOFError) as error:
        raise Unavailable(_AWAY) from error


class Bucket:
    """Keys with revisions. Each call is answered within `ANSWER_S`, or Unavailable."""

    def __init__(self, keys: KeyValue) -> None:
        self._keys = keys

    async def get(self, key: str) -> Entry | None:
        """The key as it is now, or None."""
        with plainly():
            async with asyncio.timeout(ANSWER_S):
                try:
                    found = await self._keys.get(key)
                except KeyNotFoundError:
                    return None
        return Entry(key, found.value or b"", found.revision or 0)

    async def create(self, key: str, value: bytes) -> int:
        """The revision of a new key. Changed when it is there."""
        with plainly():
            async with asyncio.timeout(ANSWER_S):
                return await self._keys.create(key, value)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """The new revision. Changed when it is not the given one any more."""
        with plainly():
            async with asyncio.timeout(ANSWER_S):
                return await self._keys.update(key, value, last=revision)

    async def delete(self, key: str, revision: int) -> None:
        """The key goes. Changed as for `update`."""
        with plainly():
            async with asyncio.timeout(ANSWER_S):
                await self._keys.delete(key, last=revision)

    async def watch(self, silence_s: float) -> AsyncGenerator[Entry | None, None]:
        """All keys, then None, then every change. Unavailable when nothing was heard for `silence_s`."""
        with plainly():
            async with asyncio.timeout(2 * ANSWER_S):
                # Its methods have no types.
                watcher: Any = await self._keys.watchall()
            try:
                while True:
                    one = await watcher.updates(timeout=silence_s)
                    if one is None:
                        yield None
                    else:
                        value = None if one.operation in _DELETED else one.value or b""
                        yield Entry(one.key, value, one.revision or 0)
            finally:
                with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                    async with asyncio.timeout(ANSWER_S):
                        await watcher.stop()


class Session:
    """What can be done while there is a connection."""

    def __init__(self, client: Client, target: BrokerTarget, terms: Terms) -> None:
        self.client = client
        self._stream = client.jetstream(timeout=ANSWER_S)
        self._target = target
        self._terms = terms
        self._plain = re.sub(r"[^A-Za-z0-9_-]", "_", target.name)
        self.nodes: Bucket
        self.calls: Bucket
        self.queue: JetStreamContext.PullSubscription

    def subject(self, *names: str) -> str:
        """A subject of this fleet."""
        return ".".join((self._target.name, *names))

    async def open(self) -> None:
        """Makes what is not there yet: buckets, and the queue of what waits for a node."""
        with plainly():
            self.nodes = Bucket(await self._bucket("nodes", _NODES_KEPT_S, StorageType.FILE))
            self.calls = Bucket(await self._bucket("calls", self._terms.calls_kept_s, StorageType.FILE))
            self.queue = await self._queue()

    async def _bucket(self, name: str, ttl: float, storage: StorageType) -> KeyValue:
        config = KeyValueConfig(bucket=f"{self._plain}_{name}", history=1, ttl=ttl, storage=storage)
        try:
            return await self._stream.create_key_value(config)
        except BadRequestError:  # made by others, with other times
            return await self._stream.key_value(config.bucket)

    async def _queue(self) -> JetStreamContext.PullSubscription:
        """Requests wait in memory: they hold tokens, and nobody waits for them after a restart."""
        name, subject, place_s = f"{self._plain}_place", self.subject("place"), self._terms.place_s
        config = StreamConfig(
            name=name,
            subjects=[subject],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.MEMORY,
            max_age=place_s,
            duplicate_window=place_s,
            max_msgs=_QUEUED,
            max_msg_size=MAX_BYTES,
            discard=DiscardPolicy.NEW,
        )
        try:
            await self._stream.add_stream(config)
        except BadRequestError:
            await self._stream.update_stream(config)
        reading = ConsumerConfig(
            durable_name="nodes",
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=max(0.5, place_s / 4),
            max_deliver=3,
            filter_subject=subject,
        )
        with contextlib.suppress(BadRequestError):
            await self._stream.add_consumer(name, reading)
        return await self._stream.pull_subscribe_bind(durable="nodes", stream=name)

    async def enqueue(self, payload: bytes, ident: str) -> None:
        """Has a request wait for a node. Unavailable when it cannot, or too many wait."""
        with plainly():
            async with asyncio.timeout(ANSWER_S):
                await self._stream.publish(self.subject("place"), payload, headers={"Nats-Msg-Id": ident})

    async def fetch(self, wait_s: float) -> Msg | None:
        """The next request that waits, or None. Unavailable."""
        with plainly():
            try:
                async with asyncio.timeout(wait_s + ANSWER_S):
                    return (await self.queue.fetch(1, timeout=wait_s))[0]
            except (nats.errors.TimeoutError, TimeoutError):
                return None

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        """The answer of whoever listens there. NobodyThere; Unavailable: it may have been heard."""
        with plainly():
            async with asyncio.timeout(timeout_s):
                return (await self.client.request(subject, payload, timeout=timeout_s)).data

    async def send(self, subject: str, payload: bytes) -> None:
        """Tells whoever listens there. Unavailable."""
        with plainly():
            async with asyncio.timeout(ANSWER_S):
                await self.client.publish(subject, payload)

    async def listen(self, subject: str, hear: Callable[[Msg], Awaitable[None]]) -> None:
        """Has `hear` called with every message there, one after the other. Unavailable."""
        with plainly():
            async with asyncio.timeout(ANSWER_S):
                await self.client.subscribe(subject, cb=hear)
                await self.client.flush()


class Broker:
    """Keeps a session with the configured server, and with no other of its cluster."""

    def __init__(self, target: BrokerTarget, terms: Terms, told: Callable[[bool], None]) -> None:
        """told: hears when the broker is there and when it is there no more."""
        self._target = target
        self._terms = terms
        self._told = told
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The connection there is. Unavailable."""
        if self._session is None or not self._session.client.is_connected:
            raise Unavailable(_AWAY)
        return self._session

    @property
    def there(self) -> bool:
        """Whether there is a connection. From any thread."""
        session = self._session
        return session is not None and session.client.is_connected

    async def run(self, serve: Callable[[Session], Awaitable[None]]) -> None:
        """Until cancelled: connects, has `serve` work with that, and begins again when either fails."""
        there = None
        while True:
            try:
                async with self._connected() as (session, closed):
                    self._session = session
                    there = self._tell(there, True)
                    await _until_closed(serve(session), closed)
            except Again:
                continue
            except Unavailable:
                there = self._tell(there, False)
                await asyncio.sleep(_AGAIN_S)
            finally:
                self._session = None

    def _tell(self, before: bool | None, now: bool) -> bool:
        if before is not now:
            self._told(now)
        return now

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[Session, asyncio.Event]]:
        closed = asyncio.Event()

        async def over() -> None:
            closed.set()

        target, client = self._target, Client()
        parts = urlsplit(target.url)
        secured: dict[str, Any] = {}
        if parts.scheme == "tls":
            secured = {"tls": ssl.create_default_context(), "tls_hostname": parts.hostname}
        try:
            with plainly():
                async with asyncio.timeout(2 * _CONNECT_S):
                    await client.connect(
                        target.url,
                        name="guardian",
                        # Servers tell of others of their cluster: nobody has configured those.
                        allow_reconnect=False,
                        max_reconnect_attempts=1,
                        reconnect_time_wait=0,
                        connect_timeout=_CONNECT_S,
                        ping_interval=_PING_S,
                        max_outstanding_pings=2,
                        error_cb=_silent,
                        closed_cb=over,
                        user=target.username or None,
                        password=target.password or None,
                        token=target.token or None,
                        **secured,
                    )
                session = Session(client, target, self._terms)
                async with asyncio.timeout(4 * ANSWER_S):
                    await session.open()
            yield session, closed
        finally:
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(ANSWER_S):
                    await client.close()


async def _until_closed(work: Awaitable[None], closed: asyncio.Event) -> None:
    """Does the work until it fails or the connection is gone. Unavailable."""

    async def lost() -> None:
        await closed.wait()
        raise Unavailable(_AWAY)

    async def done() -> None:
        await work
        raise Unavailable(_AWAY)

    try:
        await until_one_ends(lost(), done())
    except* (Unavailable, Changed) as group:
        raise (Unavailable(_AWAY) if group.subgroup(Again) is None else Again()) from group


async def _silent(_: Exception) -> None:
    """Whoever waits for an answer hears of it."""
