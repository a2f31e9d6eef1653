"""A server with people who review, and cases with clips that browsers play."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from guardian.core.calls import CallEvent, CallEventType
from guardian.core.evidence import SealedClip
from guardian.core.people import Duty
from guardian.core.violations import Role
from guardian.events.ulid import ulid
from guardian.evidence.folder import Folder
from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.evidence.ring import Ring
from guardian.evidence.sealing import Sealer
from guardian.settings import Settings
from tests.evidence.estate import ABOUT
from tests.evidence.footage import Safe, Shot, filled, pictures, voice
from tests.fakes.host import FakeHost
from tests.review.calls import AT, spec, violation
from tests.staff import Staff
from tests.web.conftest import Running, running

HIT_S = (4.0, 4.9)
WORDS = ("您", "好", "要", "不", "加", "微", "信", "聊")
"""One each second; the fifth is flagged."""


@dataclass
class Film:
    """What every clip of these tests holds. parts: name -> (media type, bytes)."""

    parts: dict[str, tuple[str, bytes]]
    notes: dict[str, Any]


def filmed(folder: Path) -> Film:
    """Ten seconds of both pictures and voices, cut and written as a call process does."""
    ring = Ring()
    ring.begin()
    video = {role: pictures(Shot("VP8", 12.0)) for role in Role}
    sound = {role: voice(12.0, 440, ((1.0, 3.0), (5.0, 9.0))) for role in Role}
    safe = Safe(folder)
    clip = safe.cut(filled(ring, video, sound), 1.0, 11.0)
    parts = {p.name: (p.media_type, safe.read(clip, p.name)) for p in clip.parts if p.name != "notes"}
    return Film(parts, safe.notes(clip))


@dataclass
class Casework:
    """Makes cases on a server that runs."""

    server: Running
    staff: Staff
    sealer: Sealer
    film: Film
    boss: Any = field(init=False)

    def __post_init__(self) -> None:
        self.boss = self.staff.client(self.server.url, self.staff.hire(Duty.SENIOR, name="the.boss"))

    def case(self, call_id: str, words: tuple[str, ...] = WORDS, **changes: Any) -> str:
        """A case without a clip, or with one where there are words; its id once it is there."""
        cause = f"vio_{ulid()}"
        about = {name: changes.pop(name) for name in ("purpose", "shown") if name in changes}
        call = spec(call_id=call_id, tenant="local", **{k: v for k, v in about.items() if k == "purpose"})
        event = violation(cause, call_id=call_id, **changes)
        if "shown" in about:
            event.data["shown"] = about["shown"]
        self.server.publish(call, event)
        if words:
            self.server.publish(call, self._ready(cause, call_id, words))
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for found in self.boss.get("/v1/cases", params={"q": cause}).json()["cases"]:
                page = self.boss.get(f"/v1/cases/{found['case_id']}").json()
                if page["clips"] or not words:
                    return str(found["case_id"])
            time.sleep(0.05)
        raise AssertionError("no case")

    def _ready(self, cause: str, call_id: str, words: tuple[str, ...]) -> CallEvent:
        evidence_id, sealed = f"ev_{ulid()}", []
        notes = ("application/json", json.dumps(self._notes(cause, words)).encode())
        for name, (media_type, data) in {**self.film.parts, "notes": notes}.items():
            writer = self.sealer.begin(evidence_id, name, media_type)
            writer.write(data)
            sealed.append(writer.seal())
        clip = SealedClip(evidence_id, "violation", (cause,), 206.3, 216.3, tuple(sealed), ABOUT)
        return CallEvent(call_id, CallEventType.EVIDENCE_READY, AT, 216.3, {"clip": asdict(clip)})

    def _notes(self, cause: str, words: tuple[str, ...]) -> dict[str, Any]:
        said = [
            {"w": w, "start_ms": n * 1000, "end_ms": n * 1000 + 900, "p": 0.9} for n, w in enumerate(words)
        ]
        said[1]["p"] = 0.3
        line = {"role": "merchant", "language": "zh", "engine": "vosk", "final": True, "words": said}
        lapse = {
            "part": "hearing",
            "leg": "shopper",
            "reason": "sound was lost",
            "start_ms": 6000,
            "end_ms": 7500,
        }
        hit = {"kind": "violation", "id": cause, "start_ms": HIT_S[0] * 1000, "end_ms": HIT_S[1] * 1000}
        return {**self.film.notes, "transcript": [line], "causes": [hit], "lapses": [lapse]}


@contextmanager
def working(folder: Path, **sections: Any) -> Iterator[Casework]:
    """A server where one person decides each case."""
    review = {"second_levels": [], "second_share": 0.0, **sections.pop("review", {})}
    settings = Settings(data_dir=str(folder / "data"), server={"port": 0}, review=review, **sections)
    ring = EvidenceKeyFile(folder / "data" / "evidence.key").create()
    sealer = Sealer(Folder(folder / "data" / "evidence"), ring.sealing)
    with running(settings, FakeHost()) as server, Staff(settings) as staff:
        work = Casework(server, staff, sealer, filmed(folder / "film"))
        try:
            yield work
        finally:
            work.boss.close()
