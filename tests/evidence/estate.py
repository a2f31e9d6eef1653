"""A store, a folder of clips and a key, and clips that were written the way call processes write them."""

from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from guardian.core.calls import CallEvent, CallEventType, CallSpec, Scope
from guardian.core.evidence import SealedClip
from guardian.core.retention import Retention
from guardian.core.violations import Role
from guardian.events.ulid import ulid
from guardian.evidence.folder import Folder
from guardian.evidence.keys import KeyRing, new_key_text, ring_of
from guardian.evidence.sealing import Sealer
from guardian.evidence.verify import Estate, Report, opener, verify
from guardian.evidence_keeper import EvidenceKeeper, Expired
from guardian.store.audit import AuditLog
from guardian.store.database import Database
from guardian.store.evidence import EvidenceStore

DAY_S = 86_400.0
ABOUT = {
    "complete": True,
    "cut_short": "",
    "pre_roll_ms": 10_000,
    "post_roll_ms": 10_000,
    "voices": ["merchant", "shopper"],
    "lapses": 0,
}


def spec(call_id="c", shopper="u_1", merchant="m_1", tenant="acme") -> CallSpec:
    return CallSpec(
        call_id=call_id,
        tenant=tenant,
        participants={Role.SHOPPER: shopper, Role.MERCHANT: merchant},
        scopes=frozenset(Scope),
        started_at="2026-11-21T09:11:02.100Z",
    )


def write_clip(sealer: Sealer, parts: dict[str, bytes], evidence_id: str = "") -> SealedClip:
    evidence_id = evidence_id or f"ev_{ulid()}"
    sealed = []
    for name, data in parts.items():
        writer = sealer.begin(evidence_id, name, "video/webm" if name == "media" else "application/json")
        writer.write(data)
        sealed.append(writer.seal())
    return SealedClip(evidence_id, "violation", ("vio_1",), 200.3, 221.0, tuple(sealed), ABOUT)


def ready(clip: SealedClip, call_id: str = "c") -> CallEvent:
    """As the call process says it."""
    at = "2026-11-21T09:14:32.418Z"
    return CallEvent(call_id, CallEventType.EVIDENCE_READY, at, 221.0, {"clip": asdict(clip)})


@dataclass
class House:
    database: Database
    folder: Path
    retention: Retention = field(default_factory=Retention)
    ring: KeyRing = field(default_factory=lambda: ring_of([new_key_text()]))
    told: list = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = EvidenceStore(self.database)
        self.audit = AuditLog(self.database)
        self.clips = Folder(self.folder)
        self.keeper = self.keeper_again()

    def keeper_again(self) -> EvidenceKeeper:
        return EvidenceKeeper(self.store, self.clips, self.retention, self._tell)

    def _tell(self, spec, event, also) -> Future:
        """As the desk does: the event and what belongs to it in one transaction."""
        done: Future = Future()
        try:
            with self.database.writing() as db:
                also(db)
        except Exception as error:  # noqa: BLE001 - as the desk: whatever it was
            done.set_exception(error)
        else:
            self.told.append((spec, event))
            done.set_result(None)
        return done

    def sweep(self, budget_s: float = 5.0) -> Expired:
        """As a server does every now and then."""
        done = self.keeper.expire(budget_s)
        self.keeper.clear(budget_s)
        self.keeper.remove_refused()
        return done

    def keep(self, data: bytes = b"a clip", **call) -> str:
        clip = write_clip(Sealer(self.clips, self.ring.sealing), {"media": data, "notes": b"{}"})
        self.keeper.take(spec(**call), ready(clip))
        return clip.evidence_id

    def verify(self, now: float | None = None, **more) -> Report:
        def sealed(evidence_id, part):
            key = self.store.key(evidence_id, part)
            return key.key_id, key.wrapped

        return verify(
            Estate(
                links=self.audit.links(),
                records=self.store.all(),
                clips=self.clips,
                now=self.keeper.now() if now is None else now,
                **{"open_key": opener(self.ring, sealed), **more},
            )
        )

    def faults(self, **more) -> list[tuple[str, str]]:
        return [(one.about, one.detail) for one in self.verify(**more).findings if one.fatal]

    @contextmanager
    def tampering(self):
        """Changes the store behind everybody's back."""
        with self.database.writing() as db:
            yield db
