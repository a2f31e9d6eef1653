"""Offers read and cut down before aiortc sees them; trickled candidates.

Simulcast is reduced to one layer here. Second tracks and data channels stay in the offer, so that
the answer has every section any client expects; `guardian.rtc.peer` makes them inactive and closes
them. They would be ways round protection and hearing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from guardian.core.errors import OfferRefused

MAX_SDP_BYTES = 64 * 1024
MAX_SECTIONS = 8
_KINDS = ("audio", "video")
_LAYERS = re.compile(r"a=(simulcast|rid):")


def reduce_offer(sdp: str) -> str:
    """The offer with one layer per track. OfferRefused when there is nothing to connect."""
    if len(sdp) > MAX_SDP_BYTES:
        raise OfferRefused("The offer is larger than 64 KiB; send a plain audio and video offer.")
    lines = [line for line in sdp.replace("\r\n", "\n").split("\n") if line]
    if not lines or not lines[0].startswith("v=0"):
        raise OfferRefused("The body is not a session description; it has to begin with v=0.")
    sections = [line[2:].split() for line in lines if line.startswith("m=")]
    if any(len(fields) < 4 for fields in sections):
        raise OfferRefused("The offer has a media line that cannot be read.")
    if not any(fields[0] in _KINDS for fields in sections):
        raise OfferRefused("The offer has no audio and no video to connect.")
    if len(sections) > MAX_SECTIONS:
        raise OfferRefused(
            f"The offer has more than {MAX_SECTIONS} sections; one audio and one video are used."
        )
    return "\r\n".join(line for line in lines if not _LAYERS.match(line)) + "\r\n"


@dataclass(frozen=True, slots=True)
class RemoteCandidate:
    """One candidate of a trickle fragment; `line` is what follows `a=candidate:`."""

    mid: str
    line: str


def read_fragment(fragment: str) -> tuple[RemoteCandidate, ...]:
    """Candidates of a trickle-ice-sdpfrag (RFC 8840 section 9). OfferRefused when it is not one."""
    candidates: list[RemoteCandidate] = []
    mid = ""
    for raw in fragment.replace("\r\n", "\n").split("\n"):
        line = raw.strip()
        if line.startswith("a=mid:"):
            mid = line[len("a=mid:") :]
        elif line.startswith("a=candidate:"):
            candidates.append(RemoteCandidate(mid, line[len("a=candidate:") :]))
        elif line and not re.match(r"[a-z]=", line):
            raise OfferRefused(
                "The fragment is not a trickle-ice-sdpfrag; its lines look like a=candidate:..."
            )
    if len(candidates) > 64:
        raise OfferRefused("The fragment has more than 64 candidates.")
    return tuple(candidates)
