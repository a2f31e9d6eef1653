"""HTTP/1.1 as uvicorn speaks it, with its own refusals as problems and a limit on slow heads."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from guardian.web.problems import MEDIA_TYPE, Problem, document

HEAD_S = 10.0


class PlainProtocol(H11Protocol):
    """A connection that sends no whole request head within `HEAD_S` is closed."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Starts the clock of the first head."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_S, self._head_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def _head_late(self) -> None:
        if self.conn.their_state is h11.IDLE and self.cycle is None and not self.transport.is_closing():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP."""
        body = document(Problem(400, "This is not a valid HTTP request."))
        head = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        try:
            for event in (
                h11.Response(status_code=400, headers=head, reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                sent = self.conn.send(event)
                if sent:
                    self.transport.write(sent)
        except h11.LocalProtocolError:
            pass  # An answer had begun; the connection is closed all the same.
        self.transport.close()
