"""Encoded video of one leg made into pictures to be looked at, beside the way it is relayed on."""

from __future__ import annotations

from collections.abc import Sequence

import av

from guardian.core.frames import RawFrame
from guardian.rtc.compat import EncodedFrame
from guardian.rtc.convert import planes_of
from guardian.rtc.transcoding import video_decoder


class PictureTap:
    """Decodes one leg's video from key frame to key frame. One thread at a time."""

    def __init__(self) -> None:
        self._decoder: av.VideoCodecContext | None = None
        self._codec = ""
        self._whole = False

    @property
    def needs_key(self) -> bool:
        """Whether nothing can be decoded before a key frame has come."""
        return not self._whole

    def decode(self, frames: Sequence[EncodedFrame]) -> RawFrame | None:
        """Takes the next frames, in order; the last picture among them that is whole, if any.

        What was lost or cannot be decoded makes all pictures up to the next key frame no use.
        """
        last: RawFrame | None = None
        for frame in frames:
            if frame.key:
                self._whole = True
            elif frame.after_loss:
                self._whole = False
            if self._whole:
                last = self._picture(frame) or last
        return last

    def _picture(self, frame: EncodedFrame) -> RawFrame | None:
        try:
            if self._decoder is None or frame.codec != self._codec:
                self._decoder, self._codec = video_decoder(frame.codec), frame.codec
            pictures = self._decoder.decode(av.Packet(frame.data))
        except (av.FFmpegError, KeyError):
            self._decoder, self._whole = None, False
            return None
        if not pictures:
            return None
        return RawFrame(planes_of(pictures[-1]), frame.timestamp / frame.clock_rate, frame.arrived)
