"""Where events go: a file of JSON lines, and webhooks signed as Standard Webhooks has it."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from standardwebhooks.webhooks import Webhook

from guardian.core.errors import ConfigError, Unavailable
from guardian.events.delivery import DeliveryFailed
from guardian.events.envelope import CONTENT_TYPE

TIMEOUT_S = 15.0
_PERMANENT = frozenset({400, 401, 403, 404, 410, 413, 422})


class FileSink:
    """Appends one line per event and waits until it is on the disk."""

    def __init__(self, path: Path) -> None:
        self.name = "file"
        self.timeout_s = TIMEOUT_S
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        except OSError as error:
            raise Unavailable(f"The event file {path} cannot be written; check its folder.") from error

    async def deliver(self, event_id: str, body: bytes) -> None:
        """DeliveryFailed when the disk refuses."""
        try:
            await asyncio.to_thread(self._append, body)
        except OSError as error:
            raise DeliveryFailed(f"file: {error.strerror}") from error

    def _append(self, body: bytes) -> None:
        # Opened anew each time, so that a rotated file is followed.
        handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.lseek(handle, 0, os.SEEK_END)
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            line = (b"\n" if torn else b"") + body + b"\n"
            written = 0
            try:
                while written < len(line):
                    written += os.write(handle, line[written:])
                os.fsync(handle)
            except OSError:
                # Half a line on a full disk would stay in the file for ever.
                os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """A receiver. secrets: the current one first, then the previous one while rotating (`whsec_…`)."""

    name: str
    url: str
    secrets: Sequence[str] = field(repr=False)
    allow_private: bool = False


class WebhookSink:
    """Posts events; refuses private addresses unless allowed, follows no redirects, uses no proxies."""

    def __init__(self, target: WebhookTarget) -> None:
        self.name = target.name
        self.timeout_s = TIMEOUT_S
        self._target = target
        self._url = httpx.URL(target.url)
        try:
            self._signers = [Webhook(secret) for secret in target.secrets]
        except Exception as error:  # whatever base64 says, it is this setting
            raise ConfigError(f"The secret of webhook {target.name} is not `whsec_` and base64.") from error
        # trust_env off: proxies and .netrc of the environment are not configured places.
        self._client = httpx.AsyncClient(
            follow_redirects=False, trust_env=False, timeout=httpx.Timeout(TIMEOUT_S)
        )

    async def close(self) -> None:
        """Ends idle connections."""
        await self._client.aclose()

    async def deliver(self, event_id: str, body: bytes) -> None:
        """Returns on any 2xx answer; DeliveryFailed otherwise."""
        address = await self._resolve()
        request = self._client.build_request(
            "POST",
            self._url.copy_with(host=address),
            content=body,
            headers={"host": self._url.netloc.decode(), **self._signed(event_id, body)},
            # The certificate is checked for the name although the address is dialled.
            extensions={"sni_hostname": self._url.host},
        )
        try:
            response = await self._client.send(request, stream=True)
            await response.aclose()
        except httpx.HTTPError as error:
            raise DeliveryFailed(f"{self.name}: {type(error).__name__}") from error
        if response.is_success:
            return
        status = response.status_code
        raise DeliveryFailed(
            f"{self.name}: HTTP {status}",
            permanent=f"HTTP {status}" if status in _PERMANENT else None,
            retry_after=_seconds(response.headers.get("retry-after", "")),
        )

    def _signed(self, event_id: str, body: bytes) -> dict[str, str]:
        # UTC only: the library replaces the zone of any other time instead of converting it.
        now = datetime.now(UTC)
        return {
            "content-type": CONTENT_TYPE,
            "user-agent": "guardian",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(s.sign(event_id, now, body.decode()) for s in self._signers),
        }

    async def _resolve(self) -> str:
        """One address of the receiver, checked; the connection goes to it and to no other."""
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._url.host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise DeliveryFailed(f"{self.name}: the name cannot be resolved") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses:
            raise DeliveryFailed(f"{self.name}: the name has no address")
        if not self._target.allow_private and not all(_public(address) for address in addresses):
            raise DeliveryFailed(f"{self.name}: a private address; `allow_private` would permit it")
        return addresses[0]


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return ip.is_global and not ip.is_multicast


def _seconds(retry_after: str) -> float | None:
    """Retry-After in seconds; dates are not honoured, the schedule is."""
    return float(retry_after) if retry_after.isdecimal() and len(retry_after) < 9 else None
