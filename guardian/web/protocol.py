"""HTTP/1.1 as uvicorn speaks it, with its own refusals as problems, and limits on connections."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from guardian.web.problems import MEDIA_TYPE, Problem, document

HEAD_S = 10.0
CONNECTIONS = 512


class PlainProtocol(H11Protocol):
    """A connection whose request head is not whole `HEAD_S` after it began is closed.

    Beyond `CONNECTIONS` at once a new one is told to come back: descriptors are needed for calls.
    """

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Starts the clock of the first head, or refuses."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._refuse(Problem(503, "Too many connections are open; wait a little.", {"Retry-After": "1"}))
            return
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The clock runs while a head is half here: of the first request and of every later one."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._watch_head()
        else:
            self._stop_head_timer()

    def _watch_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._head_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Anyone may ask for a web socket; that is no news for the log."""

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP."""
        self._refuse(Problem(400, "This is not a valid HTTP request."))

    def _refuse(self, problem: Problem) -> None:
        body = document(problem)
        head = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
        ]
        try:
            for event in (
                h11.Response(status_code=problem.status, headers=head, reason=problem.title.encode()),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                sent = self.conn.send(event)
                if sent:
                    self.transport.write(sent)
        except h11.LocalProtocolError:
            pass  # An answer had begun; the connection is closed all the same.
        self.transport.close()
