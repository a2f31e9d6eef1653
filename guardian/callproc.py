"""Ring 2, the root of a call process: models and media in, messages out.

Begun by `guardian.callmain`. It lives until its server does not need it any more, or is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from guardian.arenas import give_back_freed
from guardian.call.lane import Lane, process_stands_back, session_stands_back
from guardian.call.legs import Leg, LegMaker, Sources
from guardian.call.picture import Eyes
from guardian.call.session import CallSession, Workshop
from guardian.callmain import IDLE_NICENESS
from guardian.core.calls import CallEvent, CallSpec, Scope
from guardian.core.config import WorkConfig
from guardian.core.errors import CallFailed, GuardianError, NoSuchCall
from guardian.core.frames import Mode
from guardian.core.lease import Lease
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
from guardian.fleet.vitals import vitals
from guardian.keeper import open_keeping
from guardian.rules_in_force import RulesInForce
from guardian.senses import Senses, load_ahead, real_senses
from guardian.telemetry import log

logger = logging.getLogger(__name__)

_BEAT_S = 1.0
_AHEAD_S = 110.0
_AGAIN_S = 0.2
_LAST_WORDS_S = 6.0
_LEASE_LOST_S = 60.0
"""After which nobody is expected to extend a lease that is over."""
_GIVE_BACK_S = 30.0
_ENDING_NICENESS = 10
_HAND_OVER_S = 0.0005
"""After which a thread that runs Python lets another go on that waits. A picture takes some fifty calls of
native code, and after each of them it would wait for hearing up to ten times as long by default."""


def leg_maker(config: WorkConfig, lease: Lease) -> LegMaker:
    """Legs over aiortc. lease: nothing leaves any of them while it does not hold."""
    from guardian.rtc.compat import send_only_while
    from guardian.rtc.peer import LegEnded, Outgoing, Peer
    from guardian.rtc.picture_tap import PictureTap
    from guardian.rtc.relay import VideoRelay
    from guardian.rtc.sfu import videoroom, whip
    from guardian.rtc.sfu.meeting import Meeting
    from guardian.rtc.speech_tap import SpeechTap
    from guardian.rtc.tracks import RelayVideoTrack, SafeVideoTrack
    from guardian.rtc.voice import VoiceTrack

    send_only_while(lease)
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


@dataclass(frozen=True, slots=True)
class Making:
    """What calls are made with. senses: those of one call. load_ahead: what a spare does before its first
    call, in a thread that stands back; takes the configuration and packed rules."""

    senses: Callable[[], Senses] = real_senses
    load_ahead: Callable[[WorkConfig, str], None] = load_ahead


@dataclass(frozen=True, slots=True)
class _Held:
    """One call of this process."""

    session: CallSession
    rules: RulesInForce


class CallProcess:
    """Answers the server and reports to it, until the server closes the link."""

    def __init__(self, link: Link, making: Making) -> None:
        self._link = link
        self._making = making
        self._calls: dict[str, _Held] = {}
        self._lease = Lease()

    async def run(self) -> None:
        """One request after the other; each is answered beside the next."""
        async with asyncio.TaskGroup() as tasks:
            tending = [tasks.create_task(self._beat()), tasks.create_task(_give_back())]
            while (message := await self._link.receive()) is not None:
                tasks.create_task(self._answer(message, tasks))
            for held in self._calls.values():
                held.session.end("the server is gone")
            for task in tending:
                task.cancel()

    async def _answer(self, message: Mapping[str, Any], tasks: asyncio.TaskGroup) -> None:
        number = message.get("id", 0)
        try:
            match message.get("do"):
                case Action.WARM:
                    ok = await self._warm(message)
                case Action.START:
                    ok = self._start(message, tasks)
                case Action.LEASE:
                    ok = self._extend(message["until"])
                case _:
                    ok = await self._do(self._held(message), message)
        except GuardianError as error:
            self._link.write({"re": number, **error_message(error)})
        except Exception as error:
            logger.exception("a request failed", extra={"action": str(message.get("do"))})
            failure = CallFailed("The call process could not do this; see its log.")
            failure.__cause__ = error
            self._link.write({"re": number, **error_message(failure)})
        else:
            self._link.write({"re": number, "ok": ok})

    async def _warm(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Loads everything while nobody waits for it, standing back for those somebody waits for."""
        config = config_from_json(message["config"])

        def load() -> None:
            leg_maker(config, self._lease)
            self._making.load_ahead(config, message["rules"])

        lane = Lane("ahead", IDLE_NICENESS)
        await lane.run(load, _AHEAD_S)
        lane.close()
        while not session_stands_back(0):  # noqa: ASYNC110  # the kernel tells nobody when it may be done
            await asyncio.sleep(_AGAIN_S)
        return {}

    def _extend(self, until: float) -> dict[str, Any]:
        self._lease.extend(until)
        return {}

    def _start(self, message: Mapping[str, Any], tasks: asyncio.TaskGroup) -> dict[str, Any]:
        until = message.get("lease_until")
        if until is not None:
            self._extend(until)
        config, spec = config_from_json(message["config"]), spec_from_json(message["spec"])
        senses = self._making.senses()
        senses.rules.begin(str(message.get("rules", "")), config.speech.rules_dir)
        held = _Held(CallSession(spec, config, self._workshop(config, spec, senses)), senses.rules)
        self._calls[spec.call_id] = held
        tasks.create_task(self._live(held.session), name=f"call-{spec.call_id}")
        return {"status": held.session.status()}

    async def _live(self, call: CallSession) -> None:
        """One call from its beginning to its end; what goes wrong in it ends it alone."""
        reason = "failed"
        try:
            reason = await call.run()
        except Exception:
            logger.exception("a call failed")
        finally:
            del self._calls[call.spec.call_id]
            ended = {"note": Note.ENDED, "call": call.spec.call_id, "reason": reason}
            self._link.write({**ended, "status": call.status()})
        await self._link.flush()

    def _workshop(self, config: WorkConfig, spec: CallSpec, senses: Senses) -> Workshop:
        return Workshop(
            legs=leg_maker(config, self._lease),
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

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _BEAT_S
            await asyncio.sleep(_BEAT_S)
            late = loop.time() - due
            if self._lease.over_s > _LEASE_LOST_S:
                for held in self._calls.values():
                    held.session.end("lease lost")
            if self._link.behind:
                continue
            process = {**vitals(), "loop_lag_ms": round(late * 1000, 1)}
            calls = {
                call_id: {"lanes": held.session.lane_ages(), "status": held.session.status()}
                for call_id, held in self._calls.items()
            }
            self._link.write({"note": Note.BEAT, "process": process, "calls": calls})
            await self._link.flush()

    def _held(self, message: Mapping[str, Any]) -> _Held:
        held = self._calls.get(message["call"])
        if held is None:
            raise NoSuchCall("The call is over.")
        return held

    async def _do(self, held: _Held, message: Mapping[str, Any]) -> dict[str, Any]:
        call = held.session
        match message["do"]:
            case Action.OFFER:
                answer = await call.offer(Role(message["role"]), message["sdp"])
                return asdict(answer)
            case Action.TRICKLE:
                await call.trickle(message["session_id"], message["fragment"])
            case Action.HANG_UP:
                if message["session_id"] is None and len(self._calls) == 1:
                    # Nothing of this process is urgent any more; other calls' pictures are.
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
                await asyncio.to_thread(held.rules.take, message["rules"])
        return {}


async def _give_back() -> None:
    """A clip in the writing takes its room wherever there is some: each leaves the heap a little larger."""
    while True:
        await asyncio.sleep(_GIVE_BACK_S)
        await asyncio.to_thread(give_back_freed)


async def _serve(link_fd: int, making: Making) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=link_fd), limit=MAX_LINE)
    await CallProcess(Link(reader, writer), making).run()


def _die_with_parent() -> None:
    """Ends the process when the server is gone, even if the event loop is stuck."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        time.sleep(_LAST_WORDS_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def main(making: Making = Making()) -> None:  # it is frozen
    """The process from start to end; leaves without waiting for stuck native threads."""
    parser = argparse.ArgumentParser(prog="guardian.callproc")
    parser.add_argument("--spare", action="store_true", help="load everything ahead and wait for a call")
    parser.add_argument("--link", type=int, required=True, help="file descriptor of the socket pair")
    link_fd = parser.parse_args().link
    log.configure()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server, which ends the calls.
    _die_with_parent()
    sys.setswitchinterval(_HAND_OVER_S)
    code = 1
    try:
        asyncio.run(_serve(link_fd, making))
        code = 0
    except BaseException:
        logger.exception("the call process ends")
    sys.stderr.flush()
    # A stuck model or encoder cannot be stopped, and Python would wait for its thread.
    os._exit(code)
