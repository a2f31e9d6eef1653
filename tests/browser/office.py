"""A console with something on every page: cases in each state, appeals, a call, dead letters, bad words."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from guardian.core.calls import CallEvent
from guardian.core.evidence import SealedClip
from guardian.core.people import LANGUAGES, Duty, Person
from guardian.core.recording import Cause, ClipOrder, Spoken
from guardian.core.tokens import Hypothesis, Token
from guardian.core.violations import Role
from guardian.events.ulid import ulid
from guardian.evidence.clip import ClipCutter
from guardian.evidence.folder import Folder
from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.evidence.ring import Ring
from guardian.evidence.sealing import Sealer
from guardian.rtc.transcoding import video_decoder
from guardian.settings import Settings
from guardian.web.keyfile import KeyFile
from guardian.web.sessions import SESSION
from tests.evidence.estate import ready
from tests.evidence.footage import Shot, filled, pictures, voice
from tests.fakes.host import FakeHost
from tests.review.calls import complaint, spec, violation
from tests.staff import Staff
from tests.web.conftest import Running, call_body, running

LIMIT_S = 30.0
TENANT = "acme"
HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}\u202e</script>"
"""What somebody may say, or be called, to do harm on a page."""
LONG = "w" * 180
EVERYTHING = tuple(duty for duty in Duty if duty is not Duty.AUDITOR)
VARIANTS: dict[str, tuple[str, ...]] = {
    "case_id": ("open", "mine", "decided", "hostile"),
    "appeal_id": ("open", "mine"),
    "account_id": ("other",),
    "rule_id": ("one",),
    "event_id": ("dead",),
    "call_id": ("live",),
}
"""What stands for a parameter in the path of a page; `Office.objects` has an object for each."""


def variants(path: str) -> list[dict[str, str]]:
    """What its parameters may stand for: the name of a variant each, all of them in turn."""
    names = [part[1:-1].partition(":")[0] for part in path.split("/") if part.startswith("{")]
    turns = max((len(VARIANTS.get(name, "?")) for name in names), default=1)
    return [
        {name: VARIANTS.get(name, "?")[turn % len(VARIANTS.get(name, "?"))] for name in names}
        for turn in range(turns)
    ]


@dataclass
class Office:
    """The server, and for each language somebody who may see every page but what is an auditor's alone.

    sessions: their secrets by language, and those of auditors by `auditor-` and language.
    """

    server: Running
    people: dict[str, Person] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    objects: dict[str, dict[str, str]] = field(default_factory=lambda: {name: {} for name in VARIANTS})

    def address(self, path: str, variant: dict[str, str]) -> str:
        """A page about the objects named. AssertionError: nobody has said what stands for a parameter."""
        for name, which in variant.items():
            assert name in self.objects, f"{path}: say in VARIANTS and Office.objects what {name} is"
            path = path.replace(f"{{{name}}}", self.objects[name][which])
        assert "{" not in path, path
        return path

    def cookie(self, who: str) -> dict[str, Any]:
        """For the browser of one of `sessions`."""
        return {"name": SESSION, "value": self.sessions[who], "url": self.server.url}

    def status(self, path: str, who: str) -> int:
        """How one of `sessions` is answered."""
        return self._answer(path, who).status_code

    def is_page(self, path: str, who: str) -> bool:
        """Whether it is there for people to look at, and not for pages to fetch."""
        answer = self._answer(path, who)
        assert answer.status_code < 400, f"{path}: {answer.status_code}"
        return answer.headers.get("content-type", "").startswith("text/html")

    def _answer(self, path: str, who: str) -> httpx.Response:
        """Without its body, which may have no end."""
        cookies = {SESSION: self.sessions[who]}
        with (
            httpx.Client(trust_env=False, timeout=LIMIT_S, cookies=cookies) as client,
            client.stream("GET", f"{self.server.url}{path}", follow_redirects=True) as answer,
        ):
            return answer


@dataclass(frozen=True)
class Sayings:
    """What people say, are called and note in this office."""

    rude: str = HOSTILE
    name: str = HOSTILE.replace("\u202e", "")
    shopper: str = HOSTILE
    merchant: str = LONG
    heard: str = f"{HOSTILE} {LONG}"
    remark: str = f"seen {LONG}"


@contextmanager
def office(folder: Path, sayings: Sayings | None = None) -> Iterator[Office]:
    """Everything made, the server running. What is said there is hostile unless something else is given."""
    say = sayings or Sayings()
    data = folder / "data"
    api_key = KeyFile(data / "api_keys.json").add(TENANT)[1]
    sealer = Sealer(Folder(data / "evidence"), EvidenceKeyFile(data / "evidence.key").create().sealing)
    settings = Settings(
        data_dir=str(data),
        server={"port": 0, "requests_per_s": 100_000, "requests_burst": 100_000},
        review={"second_levels": [], "second_share": 0.0},
        events={"webhooks": [_deaf(folder)], "retry_s": [0.001]},
    )
    with running(settings, FakeHost()) as server, Staff(settings) as staff:
        made = Office(server)
        for language in LANGUAGES:
            person = staff.hire(*EVERYTHING, tenant=TENANT, name=f"everybody-{language}", language=language)
            made.people[language], made.sessions[language] = person, staff.enter(person)
            auditor = staff.hire(Duty.AUDITOR, tenant=TENANT, language=language)
            made.sessions[f"auditor-{language}"] = staff.enter(auditor)
        earlier = staff.hire(Duty.SENIOR, tenant=TENANT, name="earlier", display=say.name)
        with (
            server_client(server, api_key) as service,
            staff.client(server.url, made.people["en"]) as me,
            staff.client(server.url, earlier) as colleague,
        ):
            _fill(_Hands(made, service, me, colleague, say), sealer)
        made.objects["account_id"]["other"] = earlier.id
        yield made


def server_client(server: Running, api_key: str) -> httpx.Client:
    """The call service."""
    headers = {"Authorization": f"Bearer {api_key}"}
    return httpx.Client(base_url=server.url, trust_env=False, timeout=LIMIT_S, headers=headers)


def _deaf(folder: Path) -> dict[str, Any]:
    """A receiver that nobody listens at: what goes there becomes a dead letter."""
    secret = folder / "secret"
    secret.write_text("whsec_" + base64.b64encode(b"k" * 32).decode())
    return {
        "name": "deaf",
        "url": "http://127.0.0.1:9/hook",
        "secret": {"file": str(secret)},
        "allow_private": True,
    }


@dataclass
class _Hands:
    """Who does what there is to be seen."""

    office: Office
    service: httpx.Client
    me: httpx.Client
    colleague: httpx.Client
    say: Sayings

    def told(self, event: CallEvent, **facts: Any) -> str:
        """A call tells of something; the case it made."""
        call_id = event.call_id
        self.office.server.publish(spec(call_id=call_id, tenant=TENANT, **facts), event)
        (case, *_) = until(
            lambda: asked(self.service.get("/v1/cases", params={"q": call_id}))["cases"],
            f"case of {call_id}",
        )
        return case["case_id"]

    def decided(self, case_id: str, choice: str, reason: str) -> None:
        """By the colleague."""
        held = asked(self.colleague.post(f"/v1/cases/{case_id}/claim"))
        body = {"lease": held["lease"], "version": held["version"], "decision": choice, "reason": reason}
        asked(self.colleague.post(f"/v1/cases/{case_id}/decide", json={**body, "note": self.say.rude}))

    def appealed(self, case_id: str) -> str:
        """By the merchant."""
        body = {"case_id": case_id, "role": "merchant", "statement": f"我没有说过 {self.say.rude}"}
        return asked(self.service.post("/v1/appeals", json=body))["appeal_id"]


def _fill(hands: _Hands, sealer: Sealer) -> None:
    made, server = hands.office, hands.office.server
    cases, appeals = made.objects["case_id"], made.objects["appeal_id"]
    asked(hands.service.post("/v1/calls", json=call_body(call_id="live-call")))
    made.objects["call_id"]["live"] = "live-call"
    cases["open"] = hands.told(violation("vio_open", call_id="c-open"))
    cases["mine"] = hands.told(violation("vio_mine", call_id="c-mine", level="BLOCK", language="en"))
    for cause in ("mine", "open"):
        call = spec(call_id=f"c-{cause}", tenant=TENANT)
        server.publish(call, ready(clip(sealer, f"vio_{cause}", hands.say.rude), call.call_id))
        until(lambda of=cases[cause]: asked(hands.service.get(f"/v1/cases/{of}"))["clips"], "clip")
    asked(hands.me.post(f"/v1/cases/{cases['mine']}/claim"))
    asked(hands.me.post(f"/v1/cases/{cases['mine']}/note", json={"note": hands.say.remark}))
    facts = {"participants": {Role.SHOPPER: hands.say.shopper, Role.MERCHANT: hands.say.merchant}}
    said = {"phrase": hands.say.rude, "heard": hands.say.heard, "category": "harassment.threat"}
    cases["hostile"] = hands.told(violation("vio_hostile", call_id="c-hostile", **said), **facts)
    hands.told(complaint(reason="fraud", call_id="c-complaint"))
    cases["decided"] = hands.told(violation("vio_decided", call_id="c-decided"))
    hands.decided(cases["decided"], "dismiss", "false_positive")
    for which in ("open", "mine"):
        case = hands.told(violation(f"vio_appeal_{which}", call_id=f"c-appeal-{which}"))
        hands.decided(case, "confirm", "explicit")
        appeals[which] = hands.appealed(case)
        if which == "mine":
            asked(hands.me.post(f"/v1/cases/{case}/claim"))
    hands.decided(hands.told(violation("vio_last", call_id="c-last")), "confirm", "implied")
    rules = asked(hands.me.get("/v1/rules"))["rules"]
    made.objects["rule_id"]["one"] = rules[0]["id"]
    letters = until(lambda: asked(hands.me.get("/v1/events/dead"))["dead"], "dead letters")
    made.objects["event_id"]["dead"] = letters[0]["id"]


def clip(sealer: Sealer, cause: str, rude: str) -> SealedClip:
    """Six seconds of both sides, with what was said in them."""
    ring = Ring()
    ring.begin()
    shot = Shot("VP8", 8.0, flashes=(4.0,))
    filled(
        ring,
        {Role.SHOPPER: pictures(shot), Role.MERCHANT: pictures(shot)},
        {Role.SHOPPER: voice(8.0, 440, ((1.0, 3.0),)), Role.MERCHANT: voice(8.0, 660, ((4.0, 6.0),))},
    )
    for role, words, at in (
        (Role.SHOPPER, "装 好 了 吗", 1.0),
        (Role.MERCHANT, f"加 个 薇 信 {rude}", 4.0),
    ):
        tokens = tuple(
            Token(word, at + 0.3 * n, at + 0.3 * n + 0.25, 0.8) for n, word in enumerate(words.split())
        )
        ring.said(Spoken(role, "zipformer", Hypothesis(tokens, True, "zh")))
    order = ClipOrder(
        f"ev_{ulid()}",
        f"c-{cause}",
        (Cause("violation", cause, 4.0, 4.6),),
        lapses=({"part": "hearing", "leg": "shopper", "t_start": 6.2, "t_end": 6.9, "reason": "overload"},),
    )
    return ClipCutter(sealer, video_decoder).cut(order, ring.cut(1.0, 7.5), lambda: None)


def asked(answer: httpx.Response) -> Any:
    """What was answered to something that works."""
    assert answer.status_code < 400, f"{answer.request.url}: {answer.text}"
    return answer.json()


def until(found: Callable[[], Any], what: str) -> Any:
    """Whatever `found` finds, once it does."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if there := found():
            return there
        time.sleep(0.02)
    raise AssertionError(f"there is no {what}")
