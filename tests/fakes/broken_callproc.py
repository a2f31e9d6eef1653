"""A call process whose eyes or ears break as the call's `purpose` says: `fault:WHAT:FRAME`.

WHAT: throw, hang, grow, nonsense, unknown (face finder); people-throw; load-throw, load-slow (eyes);
chain-throw (the whole call); deaf-throw, deaf-hang, deaf-load (ears). FRAME: the first answer that is broken.
"""

from __future__ import annotations

import time

import numpy as np

from guardian.bench.privacy.finders import UNPRINTED
from guardian.callproc import Making, main
from guardian.core.frames import AudioChunk, Mode
from guardian.core.geometry import Box
from guardian.core.notes import Face, Seen, Unknown
from guardian.core.ports import HearingNotes
from guardian.models import ModelStore
from guardian.senses import Senses, real_senses
from guardian.vision.chain import VideoChain
from guardian.vision.people import SelfieSegmenter

FOREVER_S = 3600.0


def fault_of(purpose):
    """(what, first broken answer) of a call's purpose."""
    _, what, at = (purpose or "fault:none:0").split(":")
    return what, int(at)


class BrokenFaces:
    """Sees nobody until its fault begins."""

    name = "broken"
    looks = revisit = 1
    whole_share = 1.0
    everywhere = False

    def __init__(self, what, at):
        self._what, self._at, self._asked = what, at, -1
        self._kept = []

    def restart(self):
        pass

    def find(self, planes):
        self._asked += 1
        if self._asked < self._at or self._what not in ("throw", "hang", "grow", "nonsense", "unknown"):
            return Seen(())
        return getattr(self, self._what)()

    def throw(self):
        raise RuntimeError("the detector has crashed")

    def hang(self):
        time.sleep(FOREVER_S)
        return Seen(())

    def grow(self):
        if len(self._kept) < 1000:
            self._kept.append(np.ones(20_000_000, np.uint8))
        return Seen(())

    def nonsense(self):
        return Seen((Face(Box(float("nan"), -5, -1, float("inf")), 7.0), "not a face"))

    def unknown(self):
        return Unknown("could not tell")


class BrokenChain(VideoChain):
    """A chain that breaks its promise never to raise, which no part of a call is made for."""

    at = 0

    def protect(self, raw):
        self.at -= 1
        if self.at < 0:
            raise RuntimeError("the chain has crashed")
        return super().protect(raw)


class BrokenPeople:
    """Takes everything for a person, which shows everything, until it throws."""

    name = "broken"

    def __init__(self, at):
        self._at, self._asked = at, -1

    def find(self, planes):
        self._asked += 1
        if self._asked >= self._at:
            raise RuntimeError("the segmenter has crashed")
        return Seen(np.zeros((144, 256), np.float32))


class BrokenEars:
    """Hears nothing, and then breaks."""

    def __init__(self, what):
        self._what = what

    def hear(self, chunk: AudioChunk) -> HearingNotes:
        if self._what == "deaf-hang":
            time.sleep(FOREVER_S)
        raise RuntimeError("the recogniser has crashed")

    def finish(self) -> HearingNotes:
        return HearingNotes()


class SilentEars:
    """Hears everything and finds nothing: the tests of the picture need no recogniser."""

    def hear(self, chunk: AudioChunk) -> HearingNotes:
        return HearingNotes(heard_s=chunk.seconds)

    def finish(self) -> HearingNotes:
        return HearingNotes()


def broken_senses() -> Senses:
    real = real_senses()

    def eyes(config, spec, mode: Mode):
        what, at = fault_of(spec.purpose)
        if what == "load-throw":
            raise RuntimeError("the model file is damaged")
        if what == "load-slow":
            time.sleep(at)
        people = (
            BrokenPeople(at)
            if what == "people-throw"
            else SelfieSegmenter(ModelStore.default().find("person").files["model"])
        )
        faces = BrokenFaces(what, at)
        if what != "chain-throw":
            return VideoChain(faces, people, config.vision, mode, prints=UNPRINTED)
        chain = BrokenChain(faces, people, config.vision, mode, prints=UNPRINTED)
        chain.at = at
        return chain

    def ears(config, spec, role):
        what, _ = fault_of(spec.purpose)
        if what == "deaf-load":
            raise RuntimeError("the model file is damaged")
        return BrokenEars(what) if what.startswith("deaf") else SilentEars()

    return Senses(eyes, ears, real.curtains, dict)


if __name__ == "__main__":
    main(Making(broken_senses, lambda config, rules: None))
