"""Finders that do worse than they can, or say again what they said."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guardian.core.frames import Planes
from guardian.core.geometry import Box
from guardian.core.notes import Face, Print, PrintKind, Seen, Unknown
from guardian.core.ports import FaceFinder, PersonFinder
from guardian.vision.print_watch import Reading, at_once


class _Through:
    """A face finder that asks another one."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder
        self.name = finder.name

    @property
    def looks(self) -> int:
        """See `FaceFinder`."""
        return self._finder.looks

    @property
    def everywhere(self) -> bool:
        """See `FaceFinder`."""
        return self._finder.everywhere

    @property
    def revisit(self) -> int:
        """See `FaceFinder`."""
        return self._finder.revisit

    def restart(self) -> None:
        """See `FaceFinder`."""
        self._finder.restart()

    @property
    def whole_share(self) -> float:
        """See `FaceFinder`."""
        return self._finder.whole_share

    @whole_share.setter
    def whole_share(self, share: float) -> None:
        self._finder.whole_share = share

    @property
    def pace(self) -> int:
        """See `FaceFinder`."""
        return self._finder.pace

    @pace.setter
    def pace(self, pace: int) -> None:
        self._finder.pace = pace

    @property
    def beside(self) -> bool:
        """See `FaceFinder`."""
        return self._finder.beside

    @beside.setter
    def beside(self, beside: bool) -> None:
        self._finder.beside = beside

    @property
    def expected(self) -> tuple[Box, ...]:
        """See `FaceFinder`."""
        return self._finder.expected

    @expected.setter
    def expected(self, expected: tuple[Box, ...]) -> None:
        self._finder.expected = expected


class Dropping(_Through):
    """A face finder of which each face of each answer is lost with the same chance."""

    def __init__(self, finder: FaceFinder, share: float, seed: int) -> None:
        """share: 0..1 of the faces found that are lost."""
        super().__init__(finder)
        self._share = share
        self._chance = np.random.default_rng(seed)

    def find(self, planes: Planes) -> Seen[tuple[Face, ...]] | Unknown:
        """See `FaceFinder`."""
        answer = self._finder.find(planes)
        if isinstance(answer, Unknown):
            return answer
        return Seen(tuple(face for face in answer.value if self._chance.random() >= self._share))


class RepeatingFaces(_Through):
    """A face finder that gives its last answer to every picture while `repeat` is set."""

    def __init__(self, finder: FaceFinder) -> None:
        super().__init__(finder)
        self._last: Seen[tuple[Face, ...]] | Unknown = Unknown("nothing was looked at")
        self.repeat = False

    def find(self, planes: Planes) -> Seen[tuple[Face, ...]] | Unknown:
        """See `FaceFinder`."""
        if not self.repeat:
            self._last = self._finder.find(planes)
        return self._last


class RepeatingPeople:
    """A person finder that gives its last answer to every picture while `repeat` is set."""

    def __init__(self, finder: PersonFinder) -> None:
        self._finder = finder
        self._last: Seen[npt.NDArray[np.float32]] | Unknown = Unknown("nothing was looked at")
        self.repeat = False
        self.name = finder.name

    def find(self, planes: Planes) -> Seen[npt.NDArray[np.float32]] | Unknown:
        """See `PersonFinder`."""
        if not self.repeat:
            self._last = self._finder.find(planes)
        return self._last


class NothingPrinted:
    """A print finder that finds nothing, where something else is measured."""

    name = "nothing printed"

    def find(self, planes: Planes, kind: PrintKind) -> Seen[tuple[Print, ...]]:
        """See `PrintFinder`."""
        return Seen(())


UNPRINTED = Reading(NothingPrinted(), at_once)
"""Lets *install* show what it shows for other reasons."""
