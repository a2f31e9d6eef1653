"""Offers, read whole and written anew before aiortc sees them; trickled candidates.

What is not understood does not get through: an offer is read, checked and bounded here, and what comes
out has our own order of lines, only codecs and extensions that can be used, and nothing a caller has
made up. That leaves out simulcast layers, `urn:3gpp:video-orientation` (so that phones turn the picture
before they send it), candidates nobody can reach, and the end of candidates (RFC 8863: checks may still
come from where no candidate was told).

Second tracks and data channels stay, inactive or closed by `guardian.rtc.peer`, since an answer has to have
every section of its offer. They would be ways round protection and hearing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from guardian.core.errors import OfferRefused
from guardian.rtc.candidates import Candidate, reachable, read_candidate
from guardian.rtc.offered_codecs import WANTED, OfferedCodec, usable_codecs

MAX_SDP_BYTES = 64 * 1024
MAX_SECTIONS = 8
_MAX_LINES = 2000
_MOST = {"candidate": 256, "extmap": 128, "ssrc": 256, "ssrc-group": 64, "rtpmap": 256, "fmtp": 256}
_MAX_FORMATS = 128
_CANDIDATES_USED = 64

_KINDS = ("audio", "video")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_SECURED = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP", "TCP/DTLS/RTP/SAVPF")
_CHANNELS = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")
_OLD_CHANNEL = "DTLS/SCTP"
_EXTENSIONS = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
)
_DIGESTS = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_MID = re.compile(r"[!#-'*+.0-9A-Z^-~-]{1,32}")
_MEDIA = re.compile(r"m=(\S{1,32}) (\d{1,5})(?:/1)? (\S{1,64}) (\S.*)")
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")


@dataclass(frozen=True, slots=True)
class _Attributes:
    """The `a=` lines of a section, or of what stands before the first one."""

    values: Mapping[str, Sequence[str]]

    def all(self, name: str) -> Sequence[str]:
        return self.values.get(name, ())

    def first(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


@dataclass(frozen=True, slots=True)
class _Section:
    """One media section."""

    kind: str
    protocol: str
    formats: tuple[str, ...]
    mid: str
    attributes: _Attributes


def reduce_offer(sdp: str) -> str:
    """The offer with one layer per track, extra tracks inactive. OfferRefused in a plain sentence."""
    lines = lines_of(sdp)
    first = next((i for i, line in enumerate(lines) if line.startswith("m=")), len(lines))
    session = _attributes(lines[:first])
    sections = list(_sections(lines[first:]))
    if not any(section.kind in _KINDS for section in sections):
        raise OfferRefused("The offer has no audio and no video to connect.")
    tagged = _bundle(session, sections)
    written = [
        "v=0",
        "o=- 0 0 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(section.mid for section in tagged)}",
        *(["a=ice-lite"] if session.all("ice-lite") else []),
    ]
    used: set[str] = set()
    for section in sections:
        sources = (section.attributes, session, tagged[0].attributes)
        if section.kind == "application":
            written += _channel(section)
        else:
            written += _media(section, _direction(section, session, used), sources)
        used.add(section.kind)
        written += [f"a=mid:{section.mid}", *_transport(sources), *_reached(section)]
    return "\r\n".join(written) + "\r\n"


def lines_of(sdp: str) -> Sequence[str]:
    """The lines of a description of bounded size. OfferRefused."""
    if len(sdp) > MAX_SDP_BYTES:
        raise OfferRefused("The offer is larger than 64 KiB; send a plain audio and video offer.")
    lines = [line for line in sdp.replace("\r\n", "\n").split("\n") if line]
    if not lines or not lines[0].startswith("v=0"):
        raise OfferRefused("The body is not a session description; it has to begin with v=0.")
    _bound(lines)
    return lines


def _bound(lines: Sequence[str]) -> None:
    if len(lines) > _MAX_LINES:
        raise OfferRefused(f"The offer has more than {_MAX_LINES} lines; send a plain audio and video offer.")
    if not all(re.match("[a-z]=", line) for line in lines):
        raise OfferRefused("The offer has a line that is not of a session description (x=...).")
    if sum(line.startswith("m=") for line in lines) > MAX_SECTIONS:
        raise OfferRefused(
            f"The offer has more than {MAX_SECTIONS} sections; one audio and one video are used."
        )
    counts = Counter(line[2:].partition(":")[0] for line in lines if line.startswith("a="))
    for name, most in _MOST.items():
        if counts[name] > most:
            raise OfferRefused(f"The offer has more than {most} lines a={name}; send a plain offer.")


def _attributes(lines: Sequence[str]) -> _Attributes:
    values: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            values.setdefault(name, []).append(value.strip())
    return _Attributes(values)


def _sections(lines: Sequence[str]) -> Iterator[_Section]:
    starts = [i for i, line in enumerate(lines) if line.startswith("m=")]
    seen: set[str] = set()
    for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        section = _section(lines[start], _attributes(lines[start + 1 : end]))
        if section.mid in seen:
            raise OfferRefused("The offer has two sections of one a=mid; every section needs its own.")
        if section.kind == "application" and "application" in seen:
            raise OfferRefused("The offer has more than one data channel section; none is needed.")
        seen |= {section.mid, "application"} if section.kind == "application" else {section.mid}
        yield section


def _section(line: str, attributes: _Attributes) -> _Section:
    media = _MEDIA.fullmatch(line)
    if media is None:
        raise OfferRefused("The offer has a media line that cannot be read.")
    kind, port, protocol, formats = media[1], int(media[2]), media[3], tuple(media[4].split())
    if kind not in (*_KINDS, "application") or len(formats) > _MAX_FORMATS:
        raise OfferRefused("The offer has a section that is no plain audio, video or data channel.")
    if kind in _KINDS and protocol not in _SECURED:
        raise OfferRefused("Audio and video have to be secured: m=... UDP/TLS/RTP/SAVPF.")
    if kind == "application" and protocol not in (*_CHANNELS, _OLD_CHANNEL):
        raise OfferRefused("The offer has a data channel that is not over UDP/DTLS/SCTP.")
    if port == 0 and not attributes.all("bundle-only"):
        raise OfferRefused("The offer has a section that was stopped; make a new peer connection.")
    mid = attributes.first("mid") or ""
    if not _MID.fullmatch(mid):
        raise OfferRefused("Every section of the offer needs an a=mid of its own, 32 characters at most.")
    return _Section(kind, protocol, formats, mid, attributes)


def _bundle(session: _Attributes, sections: Sequence[_Section]) -> Sequence[_Section]:
    """The sections in the order of the group, whose first one carries the transport."""
    groups = [group.split()[1:] for group in session.all("group") if group.split()[:1] == ["BUNDLE"]]
    by_mid = {section.mid: section for section in sections}
    if not groups and len(sections) == 1:
        return sections
    if len(groups) != 1 or sorted(groups[0]) != sorted(by_mid):
        raise OfferRefused("All sections of the offer have to be bundled: a=group:BUNDLE with every a=mid.")
    return [by_mid[mid] for mid in groups[0]]


def _direction(section: _Section, session: _Attributes, used: set[str]) -> str:
    """As offered, but for tracks beyond the first of their kind."""
    if section.kind in used:
        return "inactive"
    for attributes in (section.attributes, session):
        for direction in _DIRECTIONS:
            if attributes.all(direction):
                return direction
    return "sendrecv"


def _media(section: _Section, direction: str, sources: Sequence[_Attributes]) -> Iterator[str]:
    if not any(attributes.all("rtcp-mux") for attributes in sources):
        raise OfferRefused("Audio and video have to be sent with their RTCP: a=rtcp-mux.")
    codecs = usable_codecs(section.kind, section.formats, section.attributes.values)
    if not codecs and direction != "inactive":
        raise OfferRefused(f"The offered {section.kind} cannot be used; offer {WANTED[section.kind]}.")
    codecs = codecs or [OfferedCodec.stand_in(section.kind)]
    yield f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(str(codec.payload) for codec in codecs)}"
    yield "c=IN IP4 0.0.0.0"
    yield f"a={direction}"
    yield "a=rtcp-mux"
    for codec in codecs:
        yield from codec.lines()
    yield from _extensions(section.attributes)
    yield from _sources(section.attributes)


def _extensions(attributes: _Attributes) -> Iterator[str]:
    taken: set[str] = set()
    for value in attributes.all("extmap"):
        match = re.fullmatch(r"(\d{1,3})(?:/\w+)? (\S+)(?: .*)?", value, re.ASCII)
        if match and match[2] in _EXTENSIONS and 1 <= int(match[1]) <= 14 and not taken & set(match.groups()):
            taken |= {match[1], match[2]}
            yield f"a=extmap:{match[1]} {match[2]}"


def _sources(attributes: _Attributes) -> Iterator[str]:
    """The first stream and its retransmissions. aiortc takes the second one listed for the latter."""
    numbers = [int(m[1]) for v in attributes.all("ssrc") if (m := re.match(r"(\d{1,10}) ", v, re.ASCII))]
    primary = next((number for number in numbers if 0 < number < 2**32), None)
    if primary is None:
        return
    streams = [primary]
    for group in attributes.all("ssrc-group"):
        match = re.fullmatch(rf"FID {primary} (\d{{1,10}})", group, re.ASCII)
        if match and 0 < int(match[1]) < 2**32 and int(match[1]) != primary:
            streams.append(int(match[1]))
            yield f"a=ssrc-group:FID {streams[0]} {streams[1]}"
            break
    yield from (f"a=ssrc:{stream} cname:-" for stream in streams)


def _channel(section: _Section) -> Iterator[str]:
    if section.protocol == _OLD_CHANNEL:
        yield f"m=application 9 {_OLD_CHANNEL} 5000"
        yield "c=IN IP4 0.0.0.0"
        yield "a=sctpmap:5000 webrtc-datachannel 1024"
        return
    port = section.attributes.first("sctp-port") or "5000"
    if not re.fullmatch(r"\d{1,5}", port, re.ASCII) or not 0 < int(port) < 65536:
        raise OfferRefused("The offer has a data channel with no port of SCTP.")
    yield "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"
    yield "c=IN IP4 0.0.0.0"
    yield f"a=sctp-port:{int(port)}"
    yield "a=max-message-size:65536"


def _transport(sources: Sequence[_Attributes]) -> Iterator[str]:
    """ICE and DTLS of a section: its own lines, else those of the session, else those of the bundle."""

    def found(name: str) -> Sequence[str]:
        return next((attributes.all(name) for attributes in sources if attributes.all(name)), ())

    for name, pattern in (("ice-ufrag", _UFRAG), ("ice-pwd", _PWD)):
        value = next(iter(found(name)), "")
        if not pattern.fullmatch(value):
            raise OfferRefused("The offer has no valid a=ice-ufrag and a=ice-pwd.")
        yield f"a={name}:{value}"
    fingerprints = [value for value in found("fingerprint") if _is_fingerprint(value)]
    if not fingerprints:
        raise OfferRefused("The offer has no valid a=fingerprint; offer one of sha-256.")
    yield from (f"a=fingerprint:{value}" for value in fingerprints[: len(_DIGESTS)])
    setup = next(iter(found("setup")), "")
    if setup not in ("actpass", "active", "passive"):
        raise OfferRefused("The offer has no valid a=setup; offer actpass.")
    yield f"a=setup:{setup}"


def _is_fingerprint(value: str) -> bool:
    algorithm, _, digest = value.partition(" ")
    size = _DIGESTS.get(algorithm.lower(), 0)
    return bool(size) and bool(re.fullmatch(rf"[0-9A-Fa-f]{{2}}(:[0-9A-Fa-f]{{2}}){{{size - 1}}}", digest))


def _reached(section: _Section) -> Iterator[str]:
    seen: set[tuple[str, int]] = set()
    for value in section.attributes.all("candidate"):
        candidate = _read(value)
        place = (candidate.address, candidate.port)
        if reachable(candidate) and place not in seen and len(seen) < _CANDIDATES_USED:
            seen.add(place)
            yield f"a=candidate:{candidate}"


def _read(text: str) -> Candidate:
    try:
        return read_candidate(text)
    except ValueError:
        raise OfferRefused("There is a candidate that cannot be read.") from None


@dataclass(frozen=True, slots=True)
class RemoteCandidate:
    """One candidate of a trickle fragment; `line` is what follows `a=candidate:`."""

    mid: str
    line: str


def read_fragment(fragment: str) -> tuple[RemoteCandidate, ...]:
    """Candidates of a trickle-ice-sdpfrag (RFC 8840 section 9) that can be used.

    OfferRefused when it is not one. Whether it restarts ICE is for the one to see who knows the offer.
    """
    lines = [line.strip() for line in fragment.replace("\r\n", "\n").split("\n")]
    if len(fragment) > MAX_SDP_BYTES or len(lines) > _MAX_LINES:
        raise OfferRefused("The fragment is too long; send the candidates that are new.")
    candidates: list[RemoteCandidate] = []
    mid = ""
    for line in lines:
        if line and not re.match(r"[a-z]=", line):
            raise OfferRefused(
                "The fragment is not a trickle-ice-sdpfrag; its lines look like a=candidate:1 1 udp."
            )
        name, _, value = line.partition(":")
        if name == "a=mid":
            if not _MID.fullmatch(value):
                raise OfferRefused("The fragment has an a=mid that cannot be read.")
            mid = value
        elif name == "a=candidate":
            candidate = _read(value)
            if reachable(candidate):
                candidates.append(RemoteCandidate(mid, str(candidate)))
    if len(candidates) > _CANDIDATES_USED:
        raise OfferRefused(f"The fragment has more than {_CANDIDATES_USED} candidates.")
    return tuple(candidates)
