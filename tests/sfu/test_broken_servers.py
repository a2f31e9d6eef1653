"""SFUs that break every promise: nothing they say ends a call, holds up its end or gets at a secret."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from guardian.core.config import MediaConfig
from guardian.core.errors import GuardianError
from guardian.core.sfu import Endpoint, Endpoints, JanusRoom
from guardian.rtc.peer import Outgoing, Peer
from guardian.rtc.sfu import janus, meeting, videoroom, whip

SECRETS = ("pin-of-the-room", "token-of-the-room", "secret-of-the-server")
SDP = "application/sdp"
HUGE = b"x" * (2 << 20)

Answer = Callable[["Request"], Awaitable[bytes | None] | bytes | None]


class Request:
    """What was asked, and the way to say something back bit by bit."""

    def __init__(self, head: str, body: bytes, writer: asyncio.StreamWriter):
        self.method, self.path, _ = head.split("\r\n")[0].split(" ", 2)
        self.head, self.body, self.writer = head, body, writer

    @property
    def message(self) -> dict:
        return json.loads(self.body)


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def said(message: object) -> bytes:
    return http(200, json.dumps(message).encode(), Content_Type="application/json")


class Server:
    """HTTP as `answer` has it: bytes are sent as they are; None is no answer at all."""

    def __init__(self, answer: Answer):
        self.answer = answer
        self.asked: list[Request] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
                body = await reader.readexactly(int(length[0].split(":")[1])) if length else b""
                request = Request(head, body, writer)
                self.asked.append(request)
                given = self.answer(request)
                reply = await given if isinstance(given, Awaitable) else given
                if reply is None:
                    await asyncio.sleep(60)
                    return
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running(answer: Answer):
    one = Server(answer)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        server.close()


def guardian(*origins: str) -> meeting.Meeting:
    def peer() -> Peer:
        return Peer(MediaConfig(), Outgoing())

    return meeting.Meeting(peer, peer, lambda _: None, origins, 1.0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch, caplog):
    """Deadlines of a tenth, so that servers that never answer are soon given up. No secret is logged."""
    for module in (meeting, whip, janus):
        monkeypatch.setattr(module, "HTTP_S", 1.0)
        monkeypatch.setattr(module, "LEAVE_S", 0.3, raising=False)
    caplog.set_level(logging.DEBUG, "guardian")
    yield
    told = "\n".join(str(vars(record)) for record in caplog.records)
    assert not [secret for secret in SECRETS if secret in told]


def refusal(work) -> str:
    """The sentence a person gets; it holds no secret."""

    async def main() -> str:
        async with asyncio.timeout(20):
            with pytest.raises(GuardianError) as caught:
                await work()
        return str(caught.value)

    sentence = asyncio.run(main())
    assert len(sentence) < 300
    assert not [secret for secret in SECRETS if secret in sentence]
    return sentence


async def drip(request: Request) -> None:
    request.writer.write(
        b"HTTP/1.1 201 Created\r\nContent-Length: 9999\r\nContent-Type: application/sdp\r\n\r\n"
    )
    for _ in range(100):
        request.writer.write(b"v")
        await request.writer.drain()
        await asyncio.sleep(0.1)


POSTS: dict[str, Answer] = {
    "huge": lambda r: http(201, HUGE, Content_Type=SDP),
    "huge without an end": lambda r: b"HTTP/1.1 201 Said\r\nContent-Type: application/sdp\r\n\r\n" + HUGE,
    "round and round": lambda r: http(307, Location=r.path),
    "moved to an address of nonsense": lambda r: http(307, Location="http://[::1"),
    "moved to a port of nonsense": lambda r: http(308, Location="http://127.0.0.1:99999999/"),
    "moved nowhere": lambda r: http(307),
    "moved to a file": lambda r: http(307, Location="file:///etc/passwd"),
    "session of nonsense": lambda r: http(201, b"v=0", Content_Type=SDP, Location="http://[::1"),
    "not SDP": lambda r: http(201, b"{}", Content_Type="application/json", Location="/s/1"),
    "SDP of nonsense": lambda r: http(201, b"v=0\r\nm=video", Content_Type=SDP, Location="/s/1"),
    "an offer as an answer": lambda r: http(201, r.body, Content_Type=SDP),
    "a charset of nonsense": lambda r: http(201, b"\xff\xfe", Content_Type=f"{SDP}; charset=rot13"),
    "packed": lambda r: http(201, b"\x1f\x8b" + b"0" * 99, Content_Type=SDP, Content_Encoding="gzip"),
    "no HTTP": lambda r: b"SSH-2.0-OpenSSH\r\n\r\n",
    "no answer": lambda r: None,
    "a drip": drip,
}


@pytest.mark.parametrize("name", POSTS)
def test_a_whip_server_that_does_not_keep_to_it_is_refused(name):
    async def main():
        async with running(POSTS[name]) as server:
            ends = Endpoints(whip=Endpoint(f"{server.url}/whip", SECRETS[1]))
            try:
                await whip.meet(ends, guardian(server.url), lambda: None)
            finally:
                assert len([request for request in server.asked if request.method == "POST"]) <= 4

    refusal(main)


def test_a_token_is_for_the_server_it_was_given_for():
    async def main():
        async with (
            running(lambda r: http(404)) as other,
            running(lambda r: http(307, Location=f"{other.url}/whip")) as server,
        ):
            ends = Endpoints(whip=Endpoint(f"{server.url}/whip", SECRETS[1]))
            try:
                await whip.meet(ends, guardian(server.url, other.url), lambda: None)
            finally:
                assert SECRETS[1] in server.asked[0].head
                assert SECRETS[1] not in other.asked[0].head

    assert "404" in refusal(main)


def test_a_token_that_is_no_header_is_refused():
    async def main():
        async with running(lambda r: http(404)) as server:
            ends = Endpoints(whep=Endpoint(f"{server.url}/whep", f"{SECRETS[1]} 你好\r\nX: 1"))
            await whip.meet(ends, guardian(server.url), lambda: None)

    refusal(main)


def test_a_session_that_will_not_be_deleted_holds_nobody_up():
    async def main():
        answers = {"POST": http(201, b"{}", Content_Type="text/plain", Location="/s/1"), "DELETE": None}
        async with running(lambda r: answers[r.method]) as server:
            ends = Endpoints(whip=Endpoint(f"{server.url}/whip"))
            async with asyncio.timeout(5):
                try:
                    await whip.meet(ends, guardian(server.url), lambda: None)
                finally:
                    assert server.asked[-1].method == "DELETE"

    refusal(main)


def janus_that(**ways: object) -> Answer:
    """A Janus that answers well but for what `ways` says: janus or request name, or `poll` -> a message."""

    async def answer(request: Request) -> bytes | None:
        if request.method == "GET":
            await asyncio.sleep(0.05)
            polled = ways.get("poll", {"janus": "keepalive"})
            return polled if isinstance(polled, bytes) else said(polled)
        kind = request.message["janus"]
        name = request.message["body"]["request"] if kind == "message" else kind
        usual = {"janus": "success", "data": {"id": 7}}
        reply = ways.get(name, usual)
        return reply if isinstance(reply, bytes) or reply is None else said(reply)

    return answer


DEEP = http(200, b"[" * 100_000)
JANUSES: dict[str, Answer] = {
    "a list": janus_that(create=[]),
    "no data": janus_that(create={"janus": "success"}),
    "data of nonsense": janus_that(create={"janus": "success", "data": "7"}),
    "a number that is a way out": janus_that(create={"janus": "success", "data": {"id": "../../admin"}}),
    "a handle of nonsense": janus_that(attach={"janus": "success", "data": {"id": [1]}}),
    "an error of nonsense": janus_that(create={"janus": "error", "error": "no"}),
    "an error without words": janus_that(join={"janus": "error"}),
    "a refusal of any length": janus_that(create={"janus": "error", "error": {"reason": "no\n" * 9999}}),
    "plugin data of nonsense": janus_that(join={"janus": "success", "plugindata": [1]}),
    "data that is null": janus_that(join={"janus": "success", "plugindata": {"data": None}}),
    "a description of nonsense": janus_that(configure={"janus": "success", "jsep": {"sdp": 7}}),
    "an answer that is none": janus_that(configure={"janus": "success", "jsep": {"sdp": "m=video"}}),
    "deep": janus_that(create=DEEP),
    "deep polls": janus_that(join={"janus": "ack"}, poll=DEEP),
    "huge": janus_that(create=http(200, HUGE)),
    "huge polls": janus_that(join={"janus": "ack"}, poll=http(200, HUGE)),
    "polls of nonsense": janus_that(join={"janus": "ack"}, poll=[1, "two", None]),
    "polls that are no JSON": janus_that(join={"janus": "ack"}, poll=http(200, b"<html>")),
    "events for nobody": janus_that(
        join={"janus": "ack"}, poll=[{"janus": "event", "sender": [1]}, {"janus": "event", "sender": 99}]
    ),
    "events without end": janus_that(join={"janus": "ack"}, poll=[{"janus": "event", "sender": 7}] * 300),
    "never an event": janus_that(join={"janus": "ack"}),
    "no answer": janus_that(join=None),
    "no answer to the end": janus_that(join={"janus": "error"}, destroy=None),
}


@pytest.mark.parametrize("name", JANUSES)
def test_a_janus_that_does_not_keep_to_it_is_refused(name):
    async def main():
        async with running(JANUSES[name]) as server:
            place = JanusRoom(f"{server.url}/janus", 1, SECRETS[0], None, SECRETS[1], SECRETS[2])
            await videoroom.meet(place, guardian(server.url), lambda: None)

    refusal(main)


def test_a_janus_that_answers_polls_at_once_is_not_polled_without_a_pause():
    async def main() -> int:
        async with running(lambda r: said([]) if r.method == "GET" else said(usual)) as server:
            place = JanusRoom(f"{server.url}/janus", 1)
            async with meeting.browser((server.url,)) as client, janus.session(client, place):
                await asyncio.sleep(1.0)
            return len(server.asked)

    usual = {"janus": "success", "data": {"id": 7}}
    assert asyncio.run(main()) <= 60


def test_what_fails_in_any_way_is_tried_again():
    tries = []

    async def work() -> None:
        tries.append(1)
        if len(tries) == 3:
            raise asyncio.CancelledError
        raise ExceptionGroup("many", [KeyError("data")])

    async def main():
        async with asyncio.timeout(20):
            await meeting.again_and_again(work, "this")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert len(tries) == 3
