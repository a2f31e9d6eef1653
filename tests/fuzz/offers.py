"""Hostile offers, those kept as files and others made from the good ones among them; hostile fragments."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus" / "sdp"
FILES = {path.stem: path.read_bytes() for path in sorted(CORPUS.glob("*.sdp"))}
GOOD = {name: data.decode() for name, data in FILES.items() if name.startswith("good-")}

FRAGMENTS = {
    "empty lines": b"\r\n\r\n a=mid:0",
    "no lines of SDP": b"<html></html>",
    "a description": next(iter(GOOD.values())).encode().replace(b"a=ice-ufrag:4ZcD\r\n", b""),
    "a candidate cut short": b"a=mid:0\r\na=candidate:1 1 udp\r\n",
    "a negative port": b"a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 -5 typ host\r\n",
    "a port too big": b"a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 99999999999 typ host\r\n",
    "a section that is not there": b"a=mid:77\r\na=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n",
    "a name nobody knows": b"a=mid:0\r\na=candidate:1 1 udp 1 7d1c6f3a-5f0e.local 5000 typ host\r\n",
    "many candidates": b"a=mid:0\r\n"
    + b"".join(b"a=candidate:%d 1 udp 1 192.0.2.1 %d typ host\r\n" % (i, 5000 + i) for i in range(2000)),
    "a long line": b"a=mid:" + b"0" * 100_000,
    "many spaces": b"a=ice-ufrag:" + b" " * 200_000 + b"x",
    "not utf-8": b"a=mid:\xff\xfe",
}
"""What comes as a fragment of trickled candidates (RFC 8840)."""

_NUMBERS = st.sampled_from(["-1", "0", "255", "65536", "4294967296", "9" * 40, "1e9", "0x10", "\u0663", ""])
_WORDS = st.sampled_from(
    [" ", ":", ";", "=", "/", "\x00", "\r", "a=", "m=", "\u202e", "\ufeff", "%s", "{}", "\ud800", "A" * 3000]
)


@st.composite
def broken_offers(draw: st.DrawFn) -> str:
    """A good offer with a few lines dropped, doubled, moved, cut or given other numbers and words."""
    lines = draw(st.sampled_from(sorted(GOOD.values()))).split("\r\n")
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        match draw(st.sampled_from(["drop", "double", "move", "cut", "number", "word", "text", "many"])):
            case "drop":
                lines[at : at + draw(st.integers(1, 4))] = []
            case "double":
                lines.insert(draw(st.integers(0, len(lines))), line)
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "cut":
                lines[at] = line[: draw(st.integers(0, len(line)))]
            case "number":
                lines[at] = _with_number(line, draw(st.integers(0, 9)), draw(_NUMBERS))
            case "word":
                where = draw(st.integers(0, len(line)))
                lines[at] = line[:where] + draw(_WORDS) + line[where:]
            case "text":
                lines[at] = line[: line.find(":") + 1] + draw(st.text(max_size=40))
            case "many":
                lines[at:at] = [line] * draw(st.integers(2, 400))
        lines = lines or [""]
    return "\r\n".join(lines)


def _with_number(line: str, nth: int, number: str) -> str:
    words = line.split(" ")
    numbers = [i for i, word in enumerate(words) if any(c.isdigit() for c in word)]
    if numbers:
        words[numbers[nth % len(numbers)]] = number
    return " ".join(words)
