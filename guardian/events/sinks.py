"""Where events go: a file of JSON lines, and webhooks signed as Standard Webhooks has it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from standardwebhooks.webhooks import Webhook

from guardian.core.delivery import Due
from guardian.core.errors import ConfigError, Unavailable
from guardian.events.addresses import Addresses, Place
from guardian.events.delivery import DeliveryFailed
from guardian.events.envelope import CONTENT_TYPE

TIMEOUT_S = 15.0
_PERMANENT = frozenset({400, 401, 403, 404, 413, 422})
_GONE = 410
"""As Standard Webhooks has it: the receiver wants no more events."""


class FileSink:
    """Appends one line per event and waits until it is on the disk."""

    def __init__(self, path: Path) -> None:
        self.name = "file"
        self.timeout_s = TIMEOUT_S
        self._path = path
        # One at a time: whoever takes half a line back must not take another's with it. A disk that hangs
        # keeps this thread and no other waiting.
        self._thread = ThreadPoolExecutor(1, "event-file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        except OSError as error:
            raise Unavailable(f"The event file {path} cannot be written; check its folder.") from error

    async def deliver(self, event: Due) -> None:
        """DeliveryFailed when the disk refuses."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._append, event.body)
        except OSError as error:
            raise DeliveryFailed(f"file: {error.strerror}") from error

    async def close(self) -> None:
        """Nothing is written after that; nobody waits for a disk that hangs."""
        self._thread.shutdown(wait=False, cancel_futures=True)

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
        self._url = url = httpx.URL(target.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        self._addresses = Addresses(Place(target.name, url.host, port, target.allow_private))
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
        self._addresses.close()
        await self._client.aclose()

    async def deliver(self, event: Due) -> None:
        """Returns on any 2xx answer; DeliveryFailed otherwise."""
        address = await self._addresses.one()
        request = self._client.build_request(
            "POST",
            self._url.copy_with(host=address),
            content=event.body,
            headers={"host": self._url.netloc.decode(), **self._signed(event)},
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
            gone=f"HTTP {status}: it wants no more events" if status == _GONE else None,
            retry_after=_seconds(response.headers.get("retry-after", "")),
        )

    def _signed(self, event: Due) -> dict[str, str]:
        # UTC only: the library replaces the zone of any other time instead of converting it.
        now = datetime.now(UTC)
        return {
            "content-type": CONTENT_TYPE,
            "user-agent": "guardian",
            "webhook-id": event.event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(
                signer.sign(event.event_id, now, event.body.decode()) for signer in self._signers
            ),
        }


def _seconds(retry_after: str) -> float | None:
    """Retry-After in seconds; dates are not honoured, the schedule is."""
    return float(retry_after) if retry_after.isdecimal() and len(retry_after) < 9 else None
