"""A running server with rules that can be changed, people in its office, and cases that were decided."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from guardian.core.people import Duty
from guardian.settings import Settings
from guardian.web.keyfile import KeyFile
from tests.fakes.host import FakeHost
from tests.review.calls import spec, violation
from tests.staff import Staff
from tests.web.conftest import Running, call_body, running

RULES = """
terms: {channel: [微信], wallet: [支付宝]}
contexts: {asking: {where: near, within: 2, patterns: ["能不能"]}}
rules:
  - id: contact.add
    category: contact_exchange
    owner: trust
    clause: "2.1"
    version: "7"
    patterns: ["加 ~2 {channel}"]
    exceptions: [asking]
  - id: payment.wallet
    category: offplatform_payment
    level: BLOCK
    state: shadow
    version: "2"
    patterns: ["{wallet} ~2 转"]
"""
_LIMIT_S = 20.0


@dataclass
class Bureau:
    """key: an API key of acme. by: clients of people of acme, by role."""

    server: Running
    staff: Staff
    key: str
    folder: Path
    by: dict[str, httpx.Client] = field(default_factory=dict)

    def enter(self, *duties: Duty, **facts: str) -> httpx.Client:
        """Somebody new of acme, signed in."""
        person = self.staff.hire(*duties, tenant=facts.pop("tenant", "acme"), **facts)
        client = self.staff.client(self.server.url, person)
        self.by[person.id] = client
        return client

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """As the call service asks."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return self.server.client.request(method, path, headers=headers, **options)

    def call(self, call_id: str) -> None:
        body = call_body(call_id=call_id, shopper={"id": "u_secret"}, merchant={"id": "m_secret"})
        answer = self.api("POST", "/v1/calls", json=body)
        assert answer.status_code == 201, answer.text

    def case(self, call_id: str, **changes: Any) -> str:
        """A case of a violation in a call of that id."""
        self.server.publish(spec(call_id=call_id), violation(f"vio_{call_id}", call_id=call_id, **changes))
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = self.api("GET", "/v1/cases", params={"q": call_id}).json()["cases"]
            return bool(found)

        until(there)
        return str(found[0]["case_id"])

    def decided(self, call_id: str, decision: str = "confirm", **changes: Any) -> str:
        """A case that the call service's own reviewer has decided."""
        case_id = self.case(call_id, **changes)
        lease = self.api("POST", f"/v1/cases/{case_id}/claim").json()
        reason = {"confirm": "explicit", "dismiss": "false_positive"}[decision]
        body = {"lease": lease["lease"], "version": lease["version"], "decision": decision, "reason": reason}
        answer = self.api("POST", f"/v1/cases/{case_id}/decide", json=body)
        assert answer.status_code == 200, answer.text
        return case_id

    def appeal(self, case_id: str, words: str = "那是误会") -> str:
        body = {"case_id": case_id, "role": "merchant", "statement": words}
        answer = self.api("POST", "/v1/appeals", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["appeal_id"])


@contextmanager
def bureau(base: Path, **sections: Any) -> Iterator[Bureau]:
    """A server with a copy of rules of its own. sections: of its settings."""
    folder = base / "rules"
    folder.mkdir()
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    data = base / "data"
    key = KeyFile(data / "api_keys.json").add("acme")[1]
    settings = Settings(
        data_dir=str(data),
        **{
            "server": {"port": 0, "requests_per_s": 10_000, "requests_burst": 10_000},
            "speech": {"rules_dir": str(folder)},
            "review": {"second_levels": [], "second_share": 0.0},
            **sections,
        },
    )
    with running(settings, FakeHost(slots=20)) as server, Staff(settings) as staff:
        made = Bureau(server, staff, key, folder)
        yield made
        for client in made.by.values():
            client.close()


def until(true: Callable[[], object], limit_s: float = _LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"it did not come within {limit_s} s"
        time.sleep(0.05)


def fields(html: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that is sent to an address."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', html, re.DOTALL)
    assert form is not None, f"no form for {action}"
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0])
    return dict(found)
