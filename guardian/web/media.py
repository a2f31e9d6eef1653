"""Answers with bytes of a clip: the whole, or one range of it (RFC 9110, section 14)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import partial

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from guardian.core.evidence_desk import Media
from guardian.web.disk import EVIDENCE
from guardian.web.problems import Problem

_SEND_S = 60.0
_RANGE = re.compile(r"bytes=\s*(\d{0,15})-(\d{0,15})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` up to `stop` of a file; partial: they were asked for as a range."""

    start: int
    stop: int
    partial: bool = False


def wanted_bytes(headers: Headers, media: Media) -> Span:
    """What a request asks for; all of it where a range is not understood. Problem 416 closes the media."""
    whole = Span(0, media.size)
    found = _RANGE.fullmatch(headers.get("range", ""))
    if found is None or headers.get("if-range", f'"{media.etag}"') != f'"{media.etag}"':
        return whole
    first, last = found.groups()
    if first:
        start, stop = int(first), min(int(last) + 1 if last else media.size, media.size)
    elif last:
        start, stop = max(0, media.size - int(last)), media.size
    else:
        return whole
    if last and first and int(last) < int(first):
        return whole
    if start >= stop:
        media.close()
        raise Problem(416, "The range lies behind the end.", {"Content-Range": f"bytes */{media.size}"})
    return Span(start, stop, partial=True)


class MediaResponse(Response):
    """Sends a span within a time, a chunk at a time, each proven before it leaves."""

    def __init__(self, media: Media, span: Span) -> None:
        self.media, self.span = media, span
        self.status_code = 206 if span.partial else 200
        self.media_type = media.media_type
        self.background = None
        self.body = b""
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Length": str(span.stop - span.start),
            "Content-Disposition": "inline",
            "ETag": f'"{media.etag}"',
        }
        if span.partial:
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{media.size}"
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cuts the answer off when a chunk is damaged, or the other side does not take it in time."""
        following = partial(next, self.media.read(self.span.start, self.span.stop), b"")
        try:
            async with asyncio.timeout(_SEND_S):
                # Read before the answer begins, so that damage at its beginning is told as such.
                piece = await EVIDENCE.run(following)
                await send(
                    {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                )
                while piece:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    piece = await EVIDENCE.run(following)
                await send({"type": "http.response.body", "body": b""})
        finally:
            self.media.close()
