"""Every error a user of Guardian can meet.

GuardianError                  one sentence: what is wrong and what to do
├── ConfigError                settings or rules that cannot be used
├── NoSuchEvent                an event is not here, or is not the caller's
├── NoSuchEndpoint             an endpoint of events is not here
├── NoSuchRule                 a rule or a rule file is not here
├── RulesKept                  the rules may not be changed this way, or not by whoever asks
├── ModelMissing               a role has no weights and no fallback
├── MediaError                 a file or stream that cannot be read or written
├── CallError                  an operation on a call that cannot be done
│   ├── NoSuchCall             the call (or leg session) is not here
│   ├── CallExists             the identifier is taken
│   ├── HostFull               every slot is taken; try again after `retry_after`
│   ├── OfferRefused           the SDP cannot be accepted
│   ├── SfuRefused             an SFU does not let Guardian in, or cannot be reached
│   └── CallFailed             the call process died or did not answer in time
├── NoSuchEvidence             evidence, or a link to it, is not here
├── EvidenceGone               evidence was erased or has expired, or a link to it was used
├── EvidenceKept               evidence may not be erased or changed like this
├── EvidenceDamaged            a file of evidence, or its key, was changed or cut off
├── NoSuchCase                 a case or an appeal is not here
├── CaseRefused                a case may not be changed like this, or not by whoever asks
├── CaseConflict               a case was changed by somebody else in the meantime
├── NoSuchPerson               an account is not here
├── PersonRefused              an account cannot be like that
├── SignInRefused              a name and a password that do not fit
├── SignInSlowed               too many tries; the next one may be made in `retry_after`
└── Unavailable                a needed service (port, disk, peer) is not to be had
    └── StoreFault             the store does not take what it was given; trying again does not help
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class GuardianError(Exception):
    """One plain sentence for a person; never carries media, tokens or spoken text."""


class ConfigError(GuardianError):
    """Settings or rules that cannot be used."""


class NoSuchEvent(GuardianError):
    """An event is not here, or is not the caller's."""


class NoSuchEndpoint(GuardianError):
    """An endpoint of events is not here, or is not the caller's."""


class NoSuchRule(GuardianError):
    """A rule or a rule file is not here, or is not the caller's."""


class RulesKept(GuardianError):
    """The rules may not be changed this way, or not by whoever asks."""


class RuleRefused(GuardianError):
    """A rule cannot be changed to be like that."""


class ModelMissing(GuardianError):
    """A role has neither its first choice nor a fallback."""


class MediaError(GuardianError):
    """A media file or stream that cannot be read or written."""


class CallError(GuardianError):
    """An operation on a call that cannot be done."""


class NoSuchCall(CallError):
    """The call or the leg session is not here (any more)."""


class CallExists(CallError):
    """The call identifier is already in use."""


class HostFull(CallError):
    """Every slot is taken."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OfferRefused(CallError):
    """The session description cannot be accepted."""


class SfuRefused(CallError):
    """An SFU does not let Guardian in, or cannot be reached."""


class CallFailed(CallError):
    """The call process died, or did not answer in time."""


class NoSuchEvidence(GuardianError):
    """Evidence, or a link to it, is not here, or is not the caller's."""


class EvidenceGone(GuardianError):
    """Evidence was erased or has expired, or a link to it was used."""


class EvidenceKept(GuardianError):
    """Evidence may not be erased, or its state not changed, like this."""


class EvidenceDamaged(GuardianError):
    """A file of evidence, or its sealed key, was changed or cut off."""


class NoSuchCase(GuardianError):
    """A case or an appeal is not here, or is not the caller's."""


class CaseRefused(GuardianError):
    """A case may not be changed like this, or not by whoever asks."""


class CaseConflict(GuardianError):
    """A case was changed, or a lease has ended, in the meantime. news: what is new, JSON values."""

    def __init__(self, message: str, news: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.news = dict(news or {})


class NoSuchPerson(GuardianError):
    """An account is not here, or is not of the caller's tenant."""


class PersonRefused(GuardianError):
    """An account cannot be like that."""


class SignInRefused(GuardianError):
    """A name and a password that do not fit; never says which of them."""


class SignInSlowed(GuardianError):
    """Too many tries. retry_after: whole seconds until the next one may be made."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(GuardianError):
    """A port, a disk or a peer that is needed cannot be had."""


class StoreFault(Unavailable):
    """The store answers, but does not take what it was given: trying again does not help."""
