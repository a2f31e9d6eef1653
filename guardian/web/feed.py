"""`/review/queue/feed`: tells pages that are open how many cases wait, and nothing about any of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from guardian.core.errors import Unavailable
from guardian.core.people import Permission
from guardian.core.review_desk import Pulse, ReviewDesk, Reviewer
from guardian.web.bodies import Body, read_query
from guardian.web.console import visitor
from guardian.web.evidence import beside
from guardian.web.parts import Parts, parts_of
from guardian.web.problems import Problem
from guardian.web.reviewing import reviewer_of

FEED = "/review/queue/feed"

_EACH, _ALL = 2, 96
"""Feeds of one person and of all: each is a request that goes on, of which the gate lets so many in."""
_LONGEST_S = 300.0
"""Then the browser comes again, and shows again that somebody is signed in."""
_TICK_S = 0.5
_EVERY_S = 2.0
_BEAT_S = 15.0
_AGAIN_MS = 4000

router = APIRouter(include_in_schema=False)


class Since(Body):
    """The query. since: wall clock seconds of the page that asks."""

    since: Annotated[float, Field(ge=0, lt=1e12)] = 0.0


class Feeds:
    """Feeds of one server. For its event loop. What a platform waits for is counted once for all of them."""

    def __init__(self, desk: ReviewDesk) -> None:
        self._desk = desk
        self._open: Counter[str] = Counter()
        self._pulses: dict[str, tuple[float, Pulse]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def enter(self, who: Reviewer) -> None:
        """Begins a feed. Problem 429 where there are too many."""
        if self._open[who.text] >= _EACH or self._open.total() >= _ALL:
            raise Problem(429, "Too many pages are kept up to date already.", {"Retry-After": "10"})
        self._open[who.text] += 1

    def leave(self, who: Reviewer) -> None:
        """Ends a feed."""
        self._open[who.text] -= 1
        self._open += Counter()  # Without those who have none left.

    async def pulse(self, who: Reviewer) -> Pulse:
        """The queue of somebody's platform, as it was `_EVERY_S` ago at most. Unavailable."""
        async with self._locks.setdefault(who.tenant, asyncio.Lock()):
            known = self._pulses.get(who.tenant)
            if known is None or time.monotonic() - known[0] >= _EVERY_S:
                known = time.monotonic(), await beside(self._desk.pulse, who)
                self._pulses[who.tenant] = known
            return known[1]


class FeedResponse(Response):
    """Server-sent events `queue` with `{"waiting", "new"}`, until the page is closed, the server stops or the
    time is over."""

    def __init__(self, feeds: Feeds, parts: Parts, who: Reviewer, since: float) -> None:
        super().__init__(media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._feeds, self._parts, self._who, self._since = feeds, parts, who, since

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Gives its place back however it ends."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with asyncio.timeout(_LONGEST_S):
                await self._tell(receive, send)
        except TimeoutError:
            pass
        finally:
            self._feeds.leave(self._who)
        await send({"type": "http.response.body", "body": b""})

    async def _tell(self, receive: Receive, send: Send) -> None:
        async def say(text: str) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        await say(f"retry: {_AGAIN_MS}\n\n")
        told, beat = "", time.monotonic()
        while not self._parts.stopping():
            try:
                pulse = await self._feeds.pulse(self._who)
                body = json.dumps({"waiting": sum(pulse.waiting.values()), "new": pulse.since(self._since)})
            except Unavailable:
                body = told  # A store that does not answer now may later.
            if body != told:
                told, beat = body, time.monotonic()
                await say(f"event: queue\ndata: {body}\n\n")
            elif time.monotonic() - beat >= _BEAT_S:
                beat = time.monotonic()
                await say(": still here\n\n")
            if await _gone(receive):
                return


async def _gone(receive: Receive) -> bool:
    """Waits for a moment; whether the page was closed in it."""
    try:
        async with asyncio.timeout(_TICK_S):
            return str((await receive())["type"]) == "http.disconnect"
    except TimeoutError:
        return False


@router.get(FEED)
async def feed(request: Request) -> Response:
    """For somebody who may see the queue."""
    who = reviewer_of(visitor(request, Permission.CASES_SEE).person)
    asked = read_query(request.query_params, Since)
    feeds = request.app.state.feeds
    assert isinstance(feeds, Feeds)
    feeds.enter(who)
    return FeedResponse(feeds, parts_of(request), who, asked.since)
