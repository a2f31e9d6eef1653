"""API keys: printed once, kept as SHA-256 with their tenant in a file only the owner may read."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from guardian.core.errors import ConfigError, Unavailable

_PREFIX = "gk_"
_log = logging.getLogger("guardian.keys")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as kept. id: what it is called in lists; revoked_at: UTC RFC 3339 or None."""

    id: str
    tenant: str
    sha256: str
    created_at: str
    revoked_at: str | None = None


class KeyFile:
    """The keys of one server; a change of the file is noticed at the next look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._keys: tuple[ApiKey, ...] = ()
        self._keyed = False
        self._unread = False

    def keyless(self) -> bool:
        """True while there has never been a key. Revoking the last key, or losing the file, opens nothing."""
        self._keyed = self._keyed or bool(self.known()) or self._unread
        return not self._keyed

    def all(self) -> tuple[ApiKey, ...]:
        """All keys, revoked ones too; empty when there is no file. ConfigError when it is damaged."""
        try:
            stat = self.path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp != self._stamp:
                rows = json.loads(self.path.read_text(encoding="utf-8"))["keys"]
                self._keys = tuple(ApiKey(**row) for row in rows)
                self._stamp = stamp
        except FileNotFoundError:
            self._stamp, self._keys = None, ()
        except OSError as error:
            raise ConfigError(f"The key file {self.path} cannot be read; check its rights.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"The key file {self.path} is damaged; restore it or make a new one."
            ) from error
        return self._keys

    def known(self) -> tuple[ApiKey, ...]:
        """As `all`; while the file cannot be read what it was before: a slip of the pen ends no call."""
        try:
            keys = self.all()
        except ConfigError as error:
            if not self._unread:
                _log.error("%s Until then the keys of before hold.", error)
            self._unread = True
            return self._keys
        self._unread = False
        return keys

    def find(self, token: str) -> ApiKey | None:
        """The valid key a caller has shown, or None."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        for key in self.known():
            if secrets.compare_digest(key.sha256, digest):
                return None if key.revoked_at else key
        return None

    def add(self, tenant: str) -> tuple[ApiKey, str]:
        """Makes a key; the second value is the key itself, to be shown once."""
        token = _PREFIX + secrets.token_urlsafe(32)
        key = ApiKey(
            id=f"k_{secrets.token_hex(4)}",
            tenant=tenant,
            sha256=hashlib.sha256(token.encode()).hexdigest(),
            created_at=_now(),
        )
        self._write((*self.all(), key))
        return key, token

    def revoke(self, key_id: str) -> ApiKey:
        """Ends a key's validity. ConfigError when there is none of that id."""
        for key in self.all():
            if key.id == key_id:
                ended = key if key.revoked_at else replace(key, revoked_at=_now())
                self._write(tuple(ended if k.id == key_id else k for k in self.all()))
                return ended
        raise ConfigError(f"There is no key {key_id}; `guardian keys list` shows those there are.")

    def _write(self, keys: tuple[ApiKey, ...]) -> None:
        text = json.dumps({"keys": [asdict(key) for key in keys]}, indent=1) + "\n"
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            raise Unavailable(f"The key file {self.path} cannot be written; check its folder.") from error
        self._stamp = None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
