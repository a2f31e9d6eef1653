"""Offers cut down to one audio and one video section, answers put back into shape.

A second track, a data channel or a simulcast layer would be a way round protection and hearing, so
those sections never reach aiortc; the answer refuses them (port 0, RFC 3264 section 6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from guardian.core.errors import OfferRefused

MAX_SDP_BYTES = 64 * 1024
_KINDS = ("audio", "video")


@dataclass(frozen=True, slots=True)
class ReducedOffer:
    """`sdp` is fit for aiortc; `refused` are (index, m-line, mid) of the sections left out."""

    sdp: str
    refused: tuple[tuple[int, str, str], ...]


def _sections(sdp: str) -> tuple[list[str], list[list[str]]]:
    """Session lines and the lines of each media section."""
    session: list[str] = []
    media: list[list[str]] = []
    for line in sdp.replace("\r\n", "\n").split("\n"):
        if line.startswith("m="):
            media.append([line])
        elif line:
            (media[-1] if media else session).append(line)
    return session, media


def _mid(section: list[str]) -> str:
    return next((line[len("a=mid:") :].strip() for line in section if line.startswith("a=mid:")), "")


def _bundle_only(section: list[str]) -> bool:
    return "a=bundle-only" in section


def reduce_offer(sdp: str) -> ReducedOffer:
    """Keeps the first audio and the first video section. OfferRefused when nothing is left."""
    if len(sdp) > MAX_SDP_BYTES:
        raise OfferRefused("The offer is larger than 64 KiB; send a plain audio and video offer.")
    session, media = _sections(sdp)
    if not session or not session[0].startswith("v=0"):
        raise OfferRefused("The body is not a session description; it has to begin with v=0.")
    kept: list[list[str]] = []
    refused: list[tuple[int, str, str]] = []
    kinds: set[str] = set()
    for index, section in enumerate(media):
        fields = section[0][2:].split()
        if len(fields) < 4:
            raise OfferRefused("The offer has a media line that cannot be read.")
        kind, port = fields[0], fields[1]
        unused = port == "0" and not _bundle_only(section)
        if kind in _KINDS and kind not in kinds and not unused:
            kinds.add(kind)
            kept.append([line for line in section if not re.match(r"a=(simulcast|rid):", line)])
        else:
            refused.append((index, section[0], _mid(section)))
    if not kept:
        raise OfferRefused("The offer has no audio and no video to connect.")
    if refused and _bundle_only(kept[0]):
        raise OfferRefused("The offer's first section cannot be accepted and the others depend on it.")
    mids = {_mid(section) for section in kept}
    session = [_regroup(line, mids) for line in session]
    lines = [*session, *(line for section in kept for line in section)]
    return ReducedOffer("\r\n".join(lines) + "\r\n", tuple(refused))


def _regroup(line: str, mids: set[str]) -> str:
    """A BUNDLE group without the sections that were left out."""
    if not line.startswith("a=group:BUNDLE"):
        return line
    return " ".join(["a=group:BUNDLE", *(mid for mid in line.split()[1:] if mid in mids)])


def restore_answer(answer: str, reduced: ReducedOffer) -> str:
    """The answer with the refused sections back in their places, refused."""
    if not reduced.refused:
        return answer
    session, media = _sections(answer)
    for index, m_line, mid in reduced.refused:
        fields = m_line[2:].split()
        refusal = [f"m={fields[0]} 0 {' '.join(fields[2:])}", "c=IN IP4 0.0.0.0"]
        if mid:
            refusal.append(f"a=mid:{mid}")
        media.insert(index, [*refusal, "a=inactive"])
    return "\r\n".join([*session, *(line for section in media for line in section)]) + "\r\n"


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
