"""Whatever comes, the answer is a problem document and the server lives on."""

import json
import socket
from http.client import HTTPResponse

import pytest

from guardian.web import protocol

CREATE = b"POST /v1/calls HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def with_body(body: bytes) -> bytes:
    return CREATE + b"Content-Length: %d\r\n\r\n" % len(body) + body


REQUESTS = {
    "no http": (b"\x16\x03\x01\x02\x00hello\r\n\r\n", {400}),
    "bad version": (b"GET / HTTP/9.9\r\n\r\n", {400, 403}),
    "raw bytes in the path": (b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "bad percent-encoding": (b"GET /v1/calls/%zz%ff%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
    "a dot path": (b"GET /v1/calls/..%2f..%2fetc HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
    "two lengths": (CREATE + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", {400}),
    "a negative length": (CREATE + b"Content-Length: -5\r\n\r\n{}", {400}),
    "a bad chunk": (CREATE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", {400}),
    "a host that is none": (b"GET /v1/calls/a HTTP/1.1\r\nHost: [::1\r\n\r\n", {403}),
    "no host": (b"GET /v1/calls/a HTTP/1.0\r\n\r\n", {403}),
    "a strange method": (b"BREW /v1/calls HTTP/1.1\r\nHost: localhost\r\n\r\n", {405}),
    "not json": (with_body(b"{not json"), {400}),
    "not utf-8": (with_body(b'{"call_id": "\xff\xfe"}'), {400}),
    "half a surrogate": (with_body(b'{"call_id": "\\ud800"}'), {400, 422}),
    "deep": (with_body(b"[" * 100_000), {400}),
    "deep metadata": (with_body(b'{"metadata":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}"), {400, 422}),
    "a list": (with_body(b"[]"), {422}),
    "null": (with_body(b"null"), {422}),
    "numbers without end": (with_body(b'{"call_id": NaN}'), {400, 422}),
    "a number too big": (with_body(b'{"shopper":{"id":' + b"9" * 5000 + b"}}"), {400, 422}),
    "metadata without end": (with_body(b'{"metadata":{"a":NaN}}'), {422}),
    "metadata beyond all": (with_body(b'{"metadata":{"a":-1e999}}'), {422}),
    "no type": (b"POST /v1/calls HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", {415}),
    "an unprintable id": (with_body(b'{"shopper":{"id":"\\u0000"},"merchant":{"id":"a"}}'), {422}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_malformed_request_gets_a_problem(server, name):
    request, expected = REQUESTS[name]
    status, kind, body = server.raw(request)
    assert status in expected, body
    assert kind == "application/problem+json"
    assert json.loads(body)["detail"]
    assert server.client.get("/livez").status_code == 200


def test_a_huge_body_is_refused_with_and_without_a_length(serve, refused):
    server = serve(server={"max_body_bytes": 2048})
    headers = {"content-type": "application/json"}
    refused(server.client.post("/v1/calls", content=b"x" * 4_000_000, headers=headers), 413)
    chunks = (b"y" * 1000 for _ in range(400))
    refused(server.client.post("/v1/calls", content=chunks, headers=headers), 413)
    assert server.client.get("/readyz").status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for(serve):
    server = serve(server={"body_timeout_s": 0.05})
    status, _, body = server.raw(CREATE + b"Content-Length: 100\r\n\r\n{")
    assert status == 408
    assert json.loads(body)["detail"]


def test_too_many_requests_are_told_to_wait(serve, refused):
    server = serve(server={"requests_per_s": 0.5, "requests_burst": 3})
    answers = [server.client.get("/v1/calls/none") for _ in range(5)]
    assert [answer.status_code for answer in answers[:3]] == [404] * 3
    refused(answers[-1], 429)
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert server.client.get("/livez").status_code == 200


def test_a_fault_inside_is_no_traceback(server, call_body, refused):
    async def broken(spec):
        raise RuntimeError("secret detail")

    server.host.open = broken
    problem = refused(server.client.post("/v1/calls", json=call_body(call_id="c")), 500)
    assert "secret" not in problem["detail"]
    del server.host.open
    assert server.client.post("/v1/calls", json=call_body(call_id="c")).status_code == 201


@pytest.mark.parametrize("first", [b"", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_a_head_that_does_not_end_is_not_waited_for(server, monkeypatch, first):
    monkeypatch.setattr(protocol, "HEAD_S", 0.1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        if first:
            connection.sendall(first)
            answer = HTTPResponse(connection)
            answer.begin()
            answer.read()
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost:")
        assert connection.recv(1) == b""


def test_connections_are_counted(server, monkeypatch):
    monkeypatch.setattr(protocol, "CONNECTIONS", 2)
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as one,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as two,
    ):
        for held in (one, two):
            held.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert held.recv(12) == b"HTTP/1.1 200"
        status, kind, body = server.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (status, kind) == (503, "application/problem+json")
        assert json.loads(body)["detail"]


@pytest.mark.parametrize("path", ["/livez", "/v1/calls/c", "/docs", "/openapi.json", "/static/page.css"])
def test_a_head_request_is_a_get_without_its_body(server, call_body, path):
    server.client.post("/v1/calls", json=call_body(call_id="c"))
    asked, got = server.client.head(path), server.client.get(path)
    assert asked.status_code == got.status_code == 200
    assert asked.headers["content-type"] == got.headers["content-type"]
    assert asked.content == b""
    wrong = server.client.put(path)
    assert (wrong.status_code, "HEAD" in wrong.headers["allow"]) == (405, True)
