"""Every error a user of Guardian can meet.

GuardianError                  one sentence: what is wrong and what to do
├── ConfigError                settings or rules that cannot be used
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
└── Unavailable                a needed service (port, disk, peer) is not to be had
"""

from __future__ import annotations


class GuardianError(Exception):
    """One plain sentence for a person; never carries media, tokens or spoken text."""


class ConfigError(GuardianError):
    """Settings or rules that cannot be used."""


class NoSuchRule(GuardianError):
    """A rule or a rule file is not here, or is not the caller's."""


class RulesKept(GuardianError):
    """The rules may not be changed this way, or not by whoever asks."""


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


class Unavailable(GuardianError):
    """A port, a disk or a peer that is needed cannot be had."""
