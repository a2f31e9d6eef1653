"""Kept datagrams: each file under corpus/rtp, rtcp and stun holds one in hex and is named for what it is."""

from __future__ import annotations

from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def corpus(*kinds: str) -> dict[str, bytes]:
    """The kept datagrams, by name."""
    return {
        f"{kind}/{path.stem}": bytes.fromhex(path.read_text("ascii"))
        for kind in kinds
        for path in sorted((CORPUS / kind).glob("*.hex"))
    }
