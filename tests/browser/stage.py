"""The tests' own web site: gives out the participants' page and takes what they see, to look at it."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np

from guardian.core.protection import CurtainReason
from guardian.vision.card import TEXTS, card
from tests.browser.captures import Film

PAGE = Path(__file__).parent / "page"
TYPES = {"person.html": "text/html; charset=utf-8", "person.js": "text/javascript; charset=utf-8"}
FLAT = 6
"""Grey levels that a codec moves a plain surface by."""
MOSTLY = 0.8


@lru_cache(maxsize=16)
def card_grey(size: tuple[int, int]) -> float:
    """The luma of the curtain's surface."""
    return float(np.median(card(size, TEXTS[CurtainReason.WAITING]).y))


def is_curtain(luma: np.ndarray) -> bool:
    """Whether nearly all of a picture is the surface of the curtain."""
    grey = card_grey((luma.shape[1] & ~1, luma.shape[0] & ~1))
    return float((np.abs(luma[::4, ::4].astype(np.int16) - grey) <= FLAT).mean()) > MOSTLY


@dataclass
class Act:
    """Consecutive pictures of a kind: `curtain` or `picture`."""

    kind: str
    frames: int = 0
    canary_blocks: int = 0


@dataclass
class Sight:
    """Everything one participant was shown, and what of the film on the other side."""

    film: Film
    acts: list[Act] = field(default_factory=list)
    sizes: Counter = field(default_factory=Counter)
    """Pictures by size, without the curtain."""
    moved: int = 0
    """Pictures that differ from the one before by more than a codec's noise."""
    last: np.ndarray | None = None
    leaked: np.ndarray | None = None
    """The first picture with the canary in it, to be looked at."""

    def look(self, luma: np.ndarray) -> None:
        """One more picture, luma (h, w)."""
        kind = "curtain" if is_curtain(luma) else "picture"
        if not self.acts or self.acts[-1].kind != kind:
            self.acts.append(Act(kind))
        self.acts[-1].frames += 1
        if kind == "picture":
            self.sizes[luma.shape[1], luma.shape[0]] += 1
        blocks = self.film.canary_blocks(luma)
        self.acts[-1].canary_blocks += blocks
        if blocks and self.leaked is None:
            self.leaked = luma
        if self.last is not None and self.last.shape == luma.shape:
            change = np.abs(self.last[::4, ::4].astype(np.int16) - luma[::4, ::4])
            self.moved += float((change > FLAT).mean()) > 0.002
        self.last = luma

    def __str__(self) -> str:
        acts = ", ".join(f"{act.frames} x {act.kind}" for act in self.acts[-8:])
        return f"{acts}; {dict(self.sizes)}"

    def count(self, kind: str) -> int:
        """Pictures of a kind."""
        return sum(act.frames for act in self.acts if act.kind == kind)

    @property
    def canary_blocks(self) -> int:
        """Blocks of the film's room that were shown raw, of all pictures."""
        return sum(act.canary_blocks for act in self.acts)


class Stage:
    """The site, at `origin`, and what its visitors were shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sights: dict[str, Sight] = {}
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    def sight(self, film: Film) -> tuple[str, Sight]:
        """A name for a new visitor who may not see that film, and what will be shown to them."""
        with self._lock:
            who = f"visitor-{len(self._sights) + 1}"
            self._sights[who] = sight = Sight(film)
        return who, sight

    def look(self, who: str, luma: np.ndarray) -> None:
        """A visitor's next picture."""
        with self._lock:
            self._sights[who].look(luma)

    @contextmanager
    def open(self) -> Iterator[Stage]:
        """Serves until the end of the block."""
        thread = threading.Thread(target=self._server.serve_forever, name="stage")
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join(10)
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A page that is closed may be in the middle of a word; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _handler(stage: Stage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            name = urlsplit(self.path).path.lstrip("/")
            if name not in TYPES:
                self.send_error(404)
                return
            self._answer(200, (PAGE / name).read_bytes(), TYPES[name])

        def do_POST(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            size = (int(asked["h"][0]), int(asked["w"][0]))
            stage.look(asked["who"][0], np.frombuffer(body, np.uint8).reshape(size))
            self._answer(200, b"", "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler
