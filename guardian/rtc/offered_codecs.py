"""The codecs of an offer that Guardian can use: Opus, VP8, H.264 baseline with one packet mode, and RTX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

WANTED = {
    "audio": "Opus (opus/48000/2)",
    "video": "VP8 or H.264 constrained baseline (profile-level-id=42e01f;packetization-mode=1)",
}
_DYNAMIC = range(96, 128)
_FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb")
_BASELINE = re.compile(
    r"(42[0-9a-f]|4d[89a-f])0(0[a-d]|1[456ef]|20|28|29|2a|32|33|34)", re.IGNORECASE | re.ASCII
)
"""profile_idc, profile_iop and a level of table A-1: baseline, or main that keeps to it."""
_NAMES = {("audio", "opus/48000/2"): "opus/48000/2", ("video", "vp8/90000"): "VP8/90000"}
_H264 = "H264/90000"


@dataclass(frozen=True, slots=True)
class OfferedCodec:
    """One payload type with its lines."""

    payload: int
    name: str
    parameters: str = ""
    feedback: tuple[str, ...] = ()

    @classmethod
    def stand_in(cls, kind: str) -> OfferedCodec:
        """For a section that will not be used: aiortc wants some codec in every one."""
        return cls(_DYNAMIC[0], "opus/48000/2" if kind == "audio" else "VP8/90000")

    def lines(self) -> Iterator[str]:
        """As SDP has it."""
        yield f"a=rtpmap:{self.payload} {self.name}"
        yield from (f"a=rtcp-fb:{self.payload} {kind}" for kind in self.feedback)
        if self.parameters:
            yield f"a=fmtp:{self.payload} {self.parameters}"


def usable_codecs(
    kind: str, formats: Sequence[str], attributes: Mapping[str, Sequence[str]]
) -> list[OfferedCodec]:
    """In the order offered. attributes: those of the section, by name."""
    names = dict(reversed([_split(value) for value in attributes.get("rtpmap", ())]))
    parameters = dict(reversed([_split(value) for value in attributes.get("fmtp", ())]))
    feedback = [_split(value) for value in attributes.get("rtcp-fb", ())]
    found: dict[int, OfferedCodec] = {}
    for text in formats:
        payload = int(text) if re.fullmatch(r"\d{1,3}", text, re.ASCII) else -1
        if payload not in _DYNAMIC or payload in found:
            continue
        wanted = _codec(kind, names.get(text, ""), _values(parameters.get(text, "")))
        if wanted is not None:
            asked = {what for number, what in feedback if number in (text, "*")} if kind == "video" else ()
            kept = tuple(one for one in _FEEDBACK if one in asked)
            found[payload] = OfferedCodec(payload, wanted[0], wanted[1], kept)
    for text in formats:
        apt = _values(parameters.get(text, "")).get("apt", "")
        if names.get(text, "").lower() == "rtx/90000" and apt in {str(payload) for payload in found}:
            payload = int(text) if re.fullmatch(r"\d{1,3}", text, re.ASCII) else -1
            if payload in _DYNAMIC and payload not in found:
                found[payload] = OfferedCodec(payload, "rtx/90000", f"apt={apt}")
    return list(found.values())


def _codec(kind: str, name: str, values: Mapping[str, str]) -> tuple[str, str] | None:
    """How we write it, and its parameters; None when it cannot be used."""
    if kind == "video" and name.upper() == _H264:
        profile = values.get("profile-level-id", "42e01f")
        if values.get("packetization-mode") != "1" or not _BASELINE.fullmatch(profile):
            return None
        return _H264, f"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile.lower()}"
    plain = _NAMES.get((kind, name.lower()))
    return None if plain is None else (plain, "")


def _split(value: str) -> tuple[str, str]:
    first, _, rest = value.partition(" ")
    return first, rest.strip()


def _values(parameters: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in parameters.split(";"))
    return {key.lower(): value.strip() for key, _, value in pairs}
