"""Contacts in pictures: how many are read right, how many are seen where there are none, and at what cost.

Codes are photos of printed ones with the text they hold. Numbers are drawn on photos of the shared folder, so
they are known; photos and films on which nothing was drawn tell what is taken for a contact wrongly.
"""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from guardian.bench.placards import held, text_card
from guardian.bench.privacy.clips import film, picture_at
from guardian.bench.privacy.prints import fitted
from guardian.bench.privacy.takes import media
from guardian.bench.script import Row, Script, Steps
from guardian.core.config import ContactConfig, SpeechConfig
from guardian.core.contacts import ContactKind
from guardian.core.frames import Planes
from guardian.core.notes import PrintKind
from guardian.core.shown import SURE, Sighting
from guardian.core.violations import Role
from guardian.demo.scene import planes_from_rgb
from guardian.ears import rules_for
from guardian.lookout import WrittenWords, open_lookout
from guardian.models import ModelStore
from guardian.vision.shown import CLOSE, LIVE, Looking
from guardian.vision.stills import still

HEIGHTS = (12, 16, 24, 32, 48)
"""Of digits, in pixels of a picture of 640x480."""
NAMES = (16, 24, 32)
"""Of names after the Chinese word for WeChat."""
GOAL = 0.9
"""Share of the photos of codes that has to be read right, closely."""
LOOKS = {"as in a call": LIVE, "closely": CLOSE}
SEED = 7


@dataclass(frozen=True, slots=True)
class Effort:
    """One photo of so many; one picture of a film of so many."""

    photos: int
    codes: int
    pictures: int


QUICK, WHOLE = Effort(24, 6, 120), Effort(6, 1, 30)


@dataclass(slots=True)
class _Bag:
    """What came of one row."""

    there: int = 0
    right: int = 0
    wrong: int = 0
    ms: list[float] = field(default_factory=list)

    def row(self, what: str, how: str) -> Row:
        quantiles = np.quantile(self.ms, (0.5, 0.95)) if self.ms else (None, None)
        return {
            "what": what,
            "looked": how,
            "pictures": len(self.ms),
            "there": self.there or None,
            "right": self.right / self.there if self.there else None,
            "wrong": self.wrong,
            "look_ms": {"p50": quantiles[0], "p95": quantiles[1]},
        }


class _Looker:
    """Looks at pictures that have nothing to do with each other, and is timed."""

    def __init__(self, looking: Looking) -> None:
        self._words = WrittenWords(rules_for(SpeechConfig().rules_dir), Role.MERCHANT)
        self._looking = looking
        self._store = ModelStore.default()

    def look(self, planes: Planes, kind: PrintKind, bag: _Bag) -> tuple[Sighting, ...]:
        """What is found in one picture."""
        finder = open_lookout(self._store, ContactConfig(), self._words, looking=self._looking).finder
        began = time.thread_time()
        found = [one for one in finder.find(planes, kind) if one is not None]
        bag.ms.append((time.thread_time() - began) * 1000)
        return found[-1]


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row for each kind of picture and way of looking."""
    ModelStore.default().find("reading")
    steps.expect(len(LOOKS) * (len(HEIGHTS) + len(NAMES) + 5))
    photos = [
        planes_from_rgb(fitted(picture_at(path)))
        for path in sorted(media("people").glob("*.jpg"))[:: effort.photos]
    ]
    rows: list[Row] = []
    for how, looking in LOOKS.items():
        looker = _Looker(looking)
        looker.look(photos[0], PrintKind.TEXT, _Bag())
        tables: list[tuple[str, Iterator[_Bag]]] = [
            ("photos of codes", _codes(looker, effort)),
            *((f"digits of {height} px", _written(looker, photos, height, _number)) for height in HEIGHTS),
            *((f"WeChat names of {height} px", _written(looker, photos, height, _name)) for height in NAMES),
            ("people, nothing drawn", _nothing(looker, photos)),
            *((name, _nothing(looker, seen)) for name, seen in _films(effort)),
        ]
        for what, counted in tables:
            steps.begin(f"{what}, {how}")
            last = _Bag()
            for bag in counted:
                last = bag
                await asyncio.sleep(0)  # here a signal ends the work
            rows.append(last.row(what, how))
            steps.done()
    return rows


def texts_of(folder: Path) -> list[tuple[Path, str]]:
    """The photos of codes with what they say."""
    with (folder / "qr.csv").open(encoding="utf-8", newline="") as file:
        return [(folder / row["image"], row["text"]) for row in csv.DictReader(file)]


def is_right(text: str, found: Sequence[str]) -> bool:
    """Whether what was read is all that a photo shows: one text, or of several one on each line."""
    wanted, read = _plain(text), [_plain(one) for one in found]
    return wanted in read or (len(read) > 1 and sorted(wanted.split("\n")) == sorted(read))


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _codes(looker: _Looker, effort: Effort) -> Iterator[_Bag]:
    bag = _Bag()
    for path, text in texts_of(media("qr"))[:: effort.codes]:
        planes = still(path)
        assert planes is not None
        found = [one.contact.text for one in looker.look(planes, PrintKind.CODE, bag)]
        right = is_right(text, found)
        bag.there += 1
        bag.right += right
        bag.wrong += bool(found) and not right
        yield bag


def _number(chance: np.random.Generator) -> tuple[str, str]:
    """A mobile number as people write it, and as it is compared."""
    digits = f"1{chance.integers(3, 10)}" + "".join(map(str, chance.integers(0, 10, 9)))
    between = ("", " ", "-")[int(chance.integers(3))]
    return between.join((digits[:3], digits[3:7], digits[7:])), digits


def _name(chance: np.random.Generator) -> tuple[str, str]:
    """A name at WeChat."""
    name = "".join("abcdefghjkmnpqrstuvwxyz"[at] for at in chance.integers(0, 23, 5))
    name += "".join(map(str, chance.integers(2, 10, 4)))
    return f"微信：{name}", f"微信{name}"


def _written(
    looker: _Looker,
    photos: Sequence[Planes],
    height: int,
    write: Callable[[np.random.Generator], tuple[str, str]],
) -> Iterator[_Bag]:
    """Cards that are held into photos."""
    bag, chance = _Bag(), np.random.default_rng(SEED + height)
    for photo in photos:
        text, wanted = write(chance)
        card = text_card([text], height)
        w, h = photo.size
        if card.shape[1] > w - 8 or card.shape[0] > h - 8:
            continue
        left, top = (
            int(chance.integers(2, (side - size) // 2)) * 2
            for side, size in zip((w, h), card.shape[::-1], strict=True)
        )
        found = looker.look(held(photo, card, (left, top)), PrintKind.TEXT, bag)
        read = ["".join(filter(str.isalnum, one.contact.text)) for one in _raised(found)]
        bag.there += 1
        bag.right += wanted in read
        bag.wrong += any(one != wanted for one in read)
        yield bag


def _raised(found: Iterable[Sighting]) -> list[Sighting]:
    """What would be told at once."""
    return [
        one for one in found if one.raised and one.sure >= SURE and one.contact.kind is not ContactKind.QR
    ]


def _nothing(looker: _Looker, seen: Iterable[Planes]) -> Iterator[_Bag]:
    bag = _Bag()
    for planes in seen:
        found = [one for kind in PrintKind for one in looker.look(planes, kind, bag)]
        bag.wrong += any(one.raised and one.sure >= SURE for one in found)
        yield bag


def _films(effort: Effort) -> Iterator[tuple[str, Iterable[Planes]]]:
    for name in ("product_bottles_640x360", "people_walking_768x432", "talking_head_640x360"):
        clip = film(media("video") / f"{name}.mp4", name)
        yield name, (one.planes for i, one in enumerate(clip.play()) if i % effort.pictures == 0)


def misses(rows: Sequence[Row]) -> list[str]:
    """What has to hold and did not."""
    return [
        f"Of the {row['what']} {row['right']:.2f} are read right, {GOAL} are to be."
        for row in rows
        if row["what"] == "photos of codes" and row["looked"] == "closely" and row["right"] < GOAL
    ]


def _cells(row: Row) -> tuple[Any, ...]:
    figures = (row["pictures"], row["there"], row["right"], row["wrong"])
    return (row["what"], row["looked"], *figures, row["look_ms"]["p50"], row["look_ms"]["p95"])


SCRIPT = Script(
    "Which codes and numbers in pictures are read right, and what is taken for one?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    ("what", "looked", "pictures", "there", "right", "wrong", "look ms", "p95"),
    _cells,
    misses,
    timed=False,
)
