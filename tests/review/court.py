"""One server's review without HTTP: the real store, desk, evidence and answers, with a clock to be set."""

import json
from contextlib import contextmanager

from guardian.appeal_desk import ServerAppeals
from guardian.case_keeper import CaseKeeper
from guardian.core.audit import Principal
from guardian.core.calls import CallEventType
from guardian.core.cases import CaseState, Choice, ReviewTerms
from guardian.core.people import PEOPLE_ONLY, Duty, Permission, may
from guardian.core.retention import Retention
from guardian.core.review_desk import DecisionWish, Queue, Reviewer
from guardian.desk import Desk, Surroundings
from guardian.events.envelope import Envelope, Issuer
from guardian.evidence.folder import Folder
from guardian.evidence.keys import new_key_text, ring_of
from guardian.evidence.sealing import Sealer
from guardian.evidence_desk import DeskParts, ServerEvidence
from guardian.evidence_keeper import EvidenceKeeper
from guardian.review_desk import ServerReview
from guardian.review_work import ReviewParts
from guardian.store.audit import AuditLog
from guardian.store.case_forgetting import CaseForgetting
from guardian.store.cases import CaseStore
from guardian.store.evidence import EvidenceStore
from guardian.store.evidence_links import EvidenceLinks
from guardian.store.outbox import Outbox
from guardian.store.participants import NamedEvents
from guardian.telemetry.metrics import Metrics
from tests.evidence.estate import ready, write_clip
from tests.review.calls import complaint, spec, violation

NOTES = {"schema": 1, "transcript": [{"role": "merchant", "words": [{"w": "13812345678", "start_ms": 1}]}]}
ALONE = ReviewTerms(second_levels=frozenset(), second_share=0.0)


def person(name, *duties, tenant="acme") -> Reviewer:
    given = duties or (Duty.SENIOR,)
    return Reviewer(
        Principal(tenant, "person", name), frozenset(one for one in Permission if may(given, one))
    )


def key(name="k_1", tenant="acme") -> Reviewer:
    return Reviewer(Principal(tenant, "key", name), frozenset(Permission) - PEOPLE_ONLY)


class Court:
    def __init__(self, database, folder, terms=ALONE):
        self.database = database
        self.at = 1_790_000_000.0
        self.ring = ring_of([new_key_text()])
        self.clips = Folder(folder)
        self.outbox = Outbox(database, [])
        self.audit = AuditLog(database)
        self.store = CaseStore(database)
        cases = CaseKeeper(terms, Retention(), lambda: self.at)
        around = Surroundings(Metrics(), lambda: None, lambda: self.at, beside=cases.beside)
        self.desk = Desk(self.outbox, Envelope(Issuer("here", "org.example", "1", "i")), around)
        self.keeper = EvidenceKeeper(EvidenceStore(database), self.clips, Retention(), self.desk.keep)
        self.evidence = ServerEvidence(
            DeskParts(
                keeper=self.keeper,
                links=EvidenceLinks(database),
                audit=self.audit,
                events=NamedEvents(database),
                keys=lambda: self.ring,
                link_s=60.0,
                cases=CaseForgetting(database),
            )
        )
        parts = ReviewParts(
            database=database,
            tell=self.desk.keep,
            clips=self.evidence,
            rule_of=lambda tenant, rule: {"version": "8", "weight": 1.0, "exceptions": ["asking"]},
            terms=terms,
            retention=Retention(),
            now=lambda: self.at,
            linked=self.keeper.linked,
        )
        self.parts = parts
        self.review = ServerReview(parts)
        self.appeals = ServerAppeals(parts)

    def case(self, cause="vio_1", call_id="c", tenant="acme", **changes) -> str:
        """A call has told of a violation; the case it made."""
        call = spec(call_id=call_id, tenant=tenant)
        self.desk.keep(call, violation(cause, call_id=call_id, **changes)).result(10)
        (found,) = self.review.list(key(tenant=tenant), Queue(q=cause, states=tuple(CaseState)))["cases"]
        return found["case_id"]

    def complaint(self, call_id="c", by="shopper") -> str:
        """A party has complained; the case it made."""
        event_id = self.desk.keep(spec(call_id=call_id), complaint(by, call_id=call_id)).result(10).event_id
        (found,) = self.review.list(key(), Queue(q=event_id, states=tuple(CaseState)))["cases"]
        return found["case_id"]

    def take_back(self, cause="vio_1", call_id="c") -> None:
        """A violation was none after all."""
        back = violation(cause, call_id, CallEventType.VIOLATION_RETRACTED, "retracted")
        self.desk.keep(spec(call_id=call_id), back).result(10)

    def clip(self, *causes, call_id="c") -> str:
        """Evidence of these violations."""
        clip = write_clip(
            Sealer(self.clips, self.ring.sealing), {"media": b"m", "notes": json.dumps(NOTES).encode()}
        )
        event = ready(clip, call_id)
        event.data["clip"]["causes"] = list(causes)
        self.keeper.take(spec(call_id=call_id), event).result(10)
        return clip.evidence_id

    def decide(self, who, case_id, choice=Choice.CONFIRM, reason=None, **more):
        """Claims and decides."""
        reason = reason or {"confirm": "explicit", "dismiss": "false_positive", "escalate": "unsure"}[choice]
        held = self.review.claim(who, case_id)
        return self.review.decide(
            who, case_id, DecisionWish(held["lease"], held["version"], choice, reason, **more)
        )

    def told(self, call_id="c", *kinds: CallEventType) -> list[dict]:
        """Events of a call of these types, as they are sent."""
        bodies = [json.loads(one.body) for one in self.outbox.of_call(call_id, 0, 200)]
        names = {f"org.example.{kind.value}.v1" for kind in kinds}
        return [one for one in bodies if one["type"] in names]

    def acts(self, subject) -> list[str]:
        """What the chain tells of something."""
        return [link.act for link in self.audit.of(subject)]


@contextmanager
def court(database, folder, **more):
    made = Court(database, folder, **more)
    try:
        yield made
    finally:
        made.desk.close(5)
