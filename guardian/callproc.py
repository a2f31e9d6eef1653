"""Ring 2, the root of a call process: models and media in, messages out.

Started by the supervisor as `python -m guardian.callproc --link FD`. It lives as long as its call
and dies with its server.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from guardian.call.lane import process_stands_back
from guardian.call.legs import Leg, LegMaker, Sources
from guardian.call.picture import Eyes
from guardian.call.session import CallSession, Workshop
from guardian.core.calls import CallEvent, CallSpec, Scope
from guardian.core.config import WorkConfig
from guardian.core.errors import CallFailed, GuardianError
from guardian.core.frames import Mode
from guardian.core.ports import ContactFinder, CurtainMaker, Ears, Protector
from guardian.core.sfu import JanusRoom, Place, place_from_json
from guardian.core.violations import Role
from guardian.fleet.messages import (
    MAX_LINE,
    Action,
    Link,
    Note,
    config_from_json,
    error_message,
    spec_from_json,
)
from guardian.keeper import open_keeping
from guardian.rules_in_force import RulesInForce

logger = logging.getLogger(__name__)

_BEAT_S = 1.0
_START_S = 15.0
_LAST_WORDS_S = 6.0
_ENDING_NICENESS = 10
_HAND_OVER_S = 0.0005
"""After which a thread that runs Python lets another go on that waits. A picture takes some fifty calls of
native code, and after each of them it would wait for hearing up to ten times as long by default."""


@dataclass(slots=True)
class Senses:
    """How a call sees and hears. Tests put broken ones in to see that nothing leaks."""

    open_eyes: Callable[[WorkConfig, CallSpec, Mode], Protector]
    open_ears: Callable[[WorkConfig, CallSpec, Role], Ears]
    curtains: Callable[[WorkConfig], CurtainMaker]
    engines: Callable[[], Mapping[str, Any]]
    rules: RulesInForce = field(default_factory=RulesInForce)
    open_lookout: Callable[[WorkConfig, CallSpec, Role], ContactFinder] | None = None


def real_senses() -> Senses:
    """The models of this machine; loaded in the lanes that use them.

    What is there once they are loaded stays: to look through it for garbage takes 80 ms, and all wait.
    """
    from guardian.vision.cover import curtains

    names: dict[str, Any] = {}
    rules = RulesInForce()

    def eyes(config: WorkConfig, _spec: CallSpec, mode: Mode) -> Protector:
        from guardian.eyes import aside, eye_models, open_eyes, open_finders
        from guardian.models import ModelStore

        store = ModelStore.default()
        chain = open_eyes(store, config.vision, mode, open_finders(store, config.vision, aside))
        names.update(eye_models(store).as_dict())
        gc.freeze()
        return chain

    def ears(config: WorkConfig, spec: CallSpec, role: Role) -> Ears:
        from guardian.ears import Listener, ears_of
        from guardian.models import ModelStore

        chain = rules.follow(
            lambda now: ears_of(ModelStore.default(), config.speech, spec.languages, Listener(role, now))
        )
        names.update(chain.engines)
        gc.freeze()
        return chain

    def lookout(config: WorkConfig, spec: CallSpec, role: Role) -> ContactFinder:
        from guardian.lookout import WrittenWords, open_lookout
        from guardian.models import ModelStore

        words = rules.follow(lambda now: WrittenWords(now, role))
        merchant = spec.participants.get(Role.MERCHANT, "")
        opened = open_lookout(ModelStore.default(), config.contacts, words, merchant)
        for note in opened.notes:
            logger.warning("pictures are searched for less", extra={"why": note})
        names.update(opened.models)
        gc.freeze()
        return opened.finder

    return Senses(eyes, ears, lambda config: curtains(config.vision.cards), lambda: names, rules, lookout)


def leg_maker(config: WorkConfig) -> LegMaker:
    """Legs over aiortc."""
    from guardian.rtc.peer import LegEnded, Outgoing, Peer
    from guardian.rtc.picture_tap import PictureTap
    from guardian.rtc.relay import VideoRelay
    from guardian.rtc.sfu import videoroom, whip
    from guardian.rtc.sfu.meeting import Meeting
    from guardian.rtc.speech_tap import SpeechTap
    from guardian.rtc.tracks import RelayVideoTrack, SafeVideoTrack
    from guardian.rtc.voice import VoiceTrack

    # What may leave a leg encoded is settled here, where it is made, and nowhere else.
    passed = {Role.SHOPPER: ("audio",), Role.MERCHANT: ("audio", "video")}

    def open_leg(role: Role, sources: Sources) -> Peer:
        voice = VoiceTrack(sources.voices[role.other])
        if role is Role.MERCHANT:
            outgoing = Outgoing(voice, SafeVideoTrack(sources.safe, sources.sent, sources.keeper))
            return Peer(config.media, outgoing, passed[role])
        assert isinstance(sources.relay, VideoRelay)
        outgoing = Outgoing(voice, RelayVideoTrack(sources.relay), sources.limit)
        return Peer(config.media, outgoing, passed[role])

    async def meet(
        role: Role,
        sources: Sources,
        place: Place,
        expect: Callable[[Leg], None],
        ready: Callable[[], None],
    ) -> None:
        meeting = Meeting(
            sending=lambda: open_leg(role, sources),
            receiving=lambda: Peer(config.media, Outgoing(), passed[role]),
            expect=expect,
            origins=config.media.sfu_origins,
            connect_s=config.media.connect_s,
        )
        if isinstance(place, JanusRoom):
            await videoroom.meet(place, meeting, ready)
        else:
            await whip.meet(place, meeting, ready)

    return LegMaker(open_leg, SpeechTap, meet, VideoRelay, LegEnded, PictureTap)


class CallProcess:
    """Answers the server and reports to it while the call lasts."""

    def __init__(self, link: Link, senses: Callable[[], Senses]) -> None:
        self._link = link
        self._senses = senses

    async def run(self) -> None:
        """From the start message to the end of the call."""
        async with asyncio.timeout(_START_S):
            start = await self._link.receive()
        if start is None or start.get("do") != Action.START:
            return
        config, spec = config_from_json(start["config"]), spec_from_json(start["spec"])
        senses = self._senses()
        senses.rules.begin(str(start.get("rules", "")), config.speech.rules_dir)
        call = CallSession(spec, config, self._workshop(config, spec, senses))
        self._link.write({"note": Note.READY, "status": call.status()})
        reason = "failed"
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._listen(call, senses.rules))
                beating = tasks.create_task(self._beat(call))
                reason = await call.run()
                listening.cancel()
                beating.cancel()
        finally:
            if reason != "failed":
                self._link.write({"note": Note.ENDED, "reason": reason, "status": call.status()})
            await self._link.flush()

    def _workshop(self, config: WorkConfig, spec: CallSpec, senses: Senses) -> Workshop:
        return Workshop(
            legs=leg_maker(config),
            eyes=Eyes(lambda mode: senses.open_eyes(config, spec, mode), senses.curtains(config)),
            ears=lambda role: senses.open_ears(config, spec, role),
            engines=senses.engines,
            tell=self._tell,
            rules=senses.rules.status,
            contacts=None if senses.open_lookout is None else partial(senses.open_lookout, config, spec),
            keeping=open_keeping(config.evidence),
        )

    def _tell(self, event: CallEvent) -> None:
        self._link.write({"note": Note.EVENT, "event": asdict(event)})

    async def _beat(self, call: CallSession) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _BEAT_S
            await asyncio.sleep(_BEAT_S)
            if self._link.behind:
                continue
            status = {**call.status(), "loop_lag_ms": round((loop.time() - due) * 1000, 1)}
            self._link.write({"note": Note.BEAT, "lane_age_s": call.picture.lane_age_s, "status": status})
            await self._link.flush()

    async def _listen(self, call: CallSession, rules: RulesInForce) -> None:
        """One request after the other; offers take a moment and run beside."""
        async with asyncio.TaskGroup() as tasks:
            while (message := await self._link.receive()) is not None:
                tasks.create_task(self._answer(call, rules, message))
            call.end("the server is gone")

    async def _answer(self, call: CallSession, rules: RulesInForce, message: Mapping[str, Any]) -> None:
        number = message.get("id", 0)
        try:
            ok = await self._do(call, rules, message)
        except GuardianError as error:
            self._link.write({"re": number, **error_message(error)})
        except Exception as error:
            logger.exception("a request failed", extra={"action": str(message.get("do"))})
            failure = CallFailed("The call process could not do this; see its log.")
            failure.__cause__ = error
            self._link.write({"re": number, **error_message(failure)})
        else:
            self._link.write({"re": number, "ok": ok})

    async def _do(self, call: CallSession, rules: RulesInForce, message: Mapping[str, Any]) -> dict[str, Any]:
        match message.get("do"):
            case Action.OFFER:
                answer = await call.offer(Role(message["role"]), message["sdp"])
                return asdict(answer)
            case Action.TRICKLE:
                await call.trickle(message["session_id"], message["fragment"])
            case Action.HANG_UP:
                if message["session_id"] is None:
                    # Nothing of this call is urgent any more; other calls' pictures are.
                    process_stands_back(_ENDING_NICENESS)
                call.hang_up(message["session_id"], message["reason"])
            case Action.CONNECT:
                await call.connect(Role(message["role"]), place_from_json(message["place"]))
            case Action.SET_MODE:
                call.set_mode(Mode(message["mode"]))
            case Action.SET_SCOPES:
                call.set_scopes([Scope(scope) for scope in message["scopes"]])
            case Action.KEEP:
                return {"evidence_id": call.complaint(message["event_id"])}
            case Action.USE_RULES:
                await asyncio.to_thread(rules.take, message["rules"])
        return {}


async def _serve(link_fd: int, senses: Callable[[], Senses]) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=link_fd), limit=MAX_LINE)
    await CallProcess(Link(reader, writer), senses).run()


def _die_with_parent() -> None:
    """Ends the process when the server is gone, even if the event loop is stuck."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        time.sleep(_LAST_WORDS_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def main(senses: Callable[[], Senses] = real_senses) -> None:
    """The process from start to end; leaves without waiting for stuck native threads."""
    parser = argparse.ArgumentParser(prog="guardian.callproc")
    parser.add_argument("--link", type=int, required=True, help="file descriptor of the socket pair")
    link_fd = parser.parse_args().link
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server, which ends the calls.
    _die_with_parent()
    sys.setswitchinterval(_HAND_OVER_S)
    code = 1
    try:
        asyncio.run(_serve(link_fd, senses))
        code = 0
    except BaseException:
        logger.exception("the call process ends")
    sys.stderr.flush()
    # A stuck model or encoder cannot be stopped, and Python would wait for its thread.
    os._exit(code)


if __name__ == "__main__":
    main()
