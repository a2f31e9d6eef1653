"""Hostile offers: those kept as files, and others made from the good ones among them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus" / "sdp"
FILES = {path.stem: path.read_bytes() for path in sorted(CORPUS.glob("*.sdp"))}
GOOD = {name: data.decode() for name, data in FILES.items() if name.startswith("good-")}

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
