"""What a call keeps evidence with: a ring in memory, and a writer of clips that cannot read them."""

from __future__ import annotations

from pathlib import Path

from guardian.call.keeping import Keeping
from guardian.core.config import EvidenceConfig


def open_keeping(config: EvidenceConfig) -> Keeping | None:
    """None where no folder for evidence is configured. ConfigError for a key that is none."""
    if not config.folder:
        return None
    from guardian.events.ulid import ulid
    from guardian.evidence.clip import ClipCutter
    from guardian.evidence.folder import Folder
    from guardian.evidence.keys import SealingKey
    from guardian.evidence.ring import Ring, RingSize
    from guardian.evidence.sealing import Sealer
    from guardian.rtc.transcoding import video_decoder

    sealer = Sealer(Folder(Path(config.folder)), SealingKey.from_text(config.public_key))
    return Keeping(
        Ring(RingSize(seconds=config.ring_s)),
        ClipCutter(sealer, video_decoder),
        lambda: f"ev_{ulid()}",
    )
