"""The keys of clips, and the key they are sealed to.

Each file of a clip has a random key of its own. It is sealed with HPKE (RFC 9180: X25519, HKDF-SHA256,
AES-256-GCM, base mode) to a public key, so that whoever writes clips cannot read them: call processes know
the public half only. What seals the key of one file opens no other: its name goes into the derivation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from guardian.core.errors import ConfigError, EvidenceDamaged, Unavailable

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_INFO = b"guardian clip key v1\0"
_PREFIX = "gek_"


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The public half. id: `kek_` and 16 hexadecimal digits of its SHA-256."""

    id: str
    public: bytes

    @classmethod
    def of(cls, public: bytes) -> SealingKey:
        """From its 32 bytes."""
        return cls(f"kek_{hashlib.sha256(public).hexdigest()[:16]}", public)

    @classmethod
    def from_text(cls, text: str) -> SealingKey:
        """From base64, as settings of a call process have it. ConfigError."""
        return cls.of(_raw(text))

    @property
    def text(self) -> str:
        """The public half as base64."""
        return base64.urlsafe_b64encode(self.public).decode()

    def wrap(self, key: bytes, name: str) -> str:
        """The key of the file `name`, sealed; base64."""
        public = X25519PublicKey.from_public_bytes(self.public)
        sealed = _SUITE.encrypt(key, public, _INFO + name.encode("ascii"))
        return base64.b64encode(sealed).decode()


@dataclass(frozen=True, slots=True)
class OpeningKey:
    """The private half."""

    sealing: SealingKey
    _private: X25519PrivateKey = field(repr=False)

    @classmethod
    def from_text(cls, text: str) -> OpeningKey:
        """From what `new_key_text` made. ConfigError."""
        if not text.startswith(_PREFIX):
            raise ConfigError(f"A key for evidence begins with {_PREFIX}; `guardian keys init` makes one.")
        private = X25519PrivateKey.from_private_bytes(_raw(text.removeprefix(_PREFIX)))
        return cls(SealingKey.of(private.public_key().public_bytes_raw()), private)

    def unwrap(self, wrapped: str, name: str) -> bytes:
        """The key of the file `name`. EvidenceDamaged when it was not sealed to this key for this file."""
        try:
            sealed = base64.b64decode(wrapped, validate=True)
            return _SUITE.decrypt(sealed, self._private, _INFO + name.encode("ascii"))
        except (InvalidTag, ValueError) as error:
            raise EvidenceDamaged("The sealed key of a clip was changed, or is another clip's.") from error


class KeyRing:
    """Opens keys of clips with private keys in memory; the first seals new ones.

    Stands behind `guardian.core.evidence_ports.KeyOpener`, as a key management service would.
    """

    def __init__(self, keys: Sequence[OpeningKey]) -> None:
        self._keys: Mapping[str, OpeningKey] = {key.sealing.id: key for key in keys}
        self.sealing = keys[0].sealing

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys there are, the current one first."""
        return tuple(self._keys)

    def unwrap(self, key_id: str, wrapped: str, name: str) -> bytes:
        """The key of the file `name`. Unavailable: sealed to a key that is not here. EvidenceDamaged."""
        key = self._keys.get(key_id)
        if key is None:
            raise Unavailable(f"The key {key_id} for evidence is not here; put it into `evidence.keys`.")
        return key.unwrap(wrapped, name)

    def rewrap(self, key_id: str, wrapped: str, name: str) -> str:
        """The same key of a file, sealed to the current key."""
        return self.sealing.wrap(self.unwrap(key_id, wrapped, name), name)


def new_key_text() -> str:
    """A new private key, as it lies in its file."""
    private = X25519PrivateKey.generate().private_bytes_raw()
    return _PREFIX + base64.urlsafe_b64encode(private).decode()


def ring_of(texts: Sequence[str]) -> KeyRing:
    """From private keys as text, the current one first. ConfigError."""
    if not texts:
        raise ConfigError("There is no key for evidence; `guardian keys init` makes one.")
    return KeyRing([OpeningKey.from_text(text) for text in texts])


def _raw(text: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(text)
    except (binascii.Error, ValueError) as error:
        raise ConfigError("A key for evidence is not base64; copy it again.") from error
    if len(raw) != 32:
        raise ConfigError("A key for evidence has 32 bytes; copy it again.")
    return raw
