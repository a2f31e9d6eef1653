"""A voice is passed on whatever happens, and heard only while that is agreed to."""

import asyncio
import threading

from guardian.call.legs import Piece
from guardian.call.sound import Hearing, VoiceWay
from guardian.core.config import WorkConfig
from guardian.core.frames import AudioChunk
from guardian.core.ports import HearingNotes
from guardian.core.violations import Level, Role, Status, ViolationChange

CHANGE = ViolationChange(
    "vio_1", Status.DETECTED, "r", "c", Level.REVIEW, "p", "h", Role.MERCHANT, "en", 0.0, 1.0, 1.0, 0.9
)


class SlowEars:
    """Hears a violation in every chunk, when it is let."""

    def __init__(self):
        self.listening = threading.Event()
        self.go_on = threading.Event()
        self.chunks = 0

    def hear(self, chunk: AudioChunk) -> HearingNotes:
        self.chunks += 1
        self.listening.set()
        assert self.go_on.wait(10)
        return HearingNotes((CHANGE,), (), 0.02)

    def finish(self) -> HearingNotes:
        return HearingNotes((CHANGE,))


class OneChunk:
    def chunks(self, frame, t):
        yield frame


def test_nothing_said_is_told_once_consent_is_withdrawn():
    ears, told = SlowEars(), []

    async def main():
        hearing = Hearing(lambda role: ears, lambda role, notes: told.append(notes), print, lambda: 0.0)
        voice = VoiceWay(Role.MERCHANT, hearing, WorkConfig())
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(voice.run())
            for i in range(10):
                voice.put(Piece(OneChunk(), f"piece {i}", i * 0.02, 0.02))
            await asyncio.to_thread(ears.listening.wait, 10)
            voice.allowed = False
            voice.put(Piece(OneChunk(), "not heard any more", 0.2, 0.02))
            voice.pass_on("passed on all the same")
            ears.go_on.set()
            voice.close()
            await run
        assert await voice.next_piece(1.0) == "passed on all the same"

    asyncio.run(main())
    assert told == []
    assert ears.chunks == 1
