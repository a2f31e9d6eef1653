"""The register of calls, also while metrics are gathered in another thread."""

import sys
import threading

import pytest

from guardian.core.calls import CallSpec
from guardian.core.violations import Role
from guardian.web.admission import Register


@pytest.fixture
def eager_threads():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_calls_come_and_go_while_they_are_listed(eager_threads):
    register, failed, stop = Register(), [], threading.Event()

    def scrape():
        while not stop.is_set():
            try:
                register.live()
            except RuntimeError as error:
                failed.append(error)

    scraper = threading.Thread(target=scrape)
    scraper.start()
    for i in range(500):
        register.admit(CallSpec(f"c{i}", "t", {Role.SHOPPER: "s", Role.MERCHANT: "m"}), {}, 60.0)
        if i > 50:
            register.end(f"c{i - 50}", "done", {})
    stop.set()
    scraper.join()
    assert failed == []
    assert len(register.live()) == 51


def test_an_ended_call_keeps_no_histograms():
    register = Register()
    register.admit(CallSpec("c", "t", {Role.SHOPPER: "s", Role.MERCHANT: "m"}), {}, 60.0)
    register.end("c", "done", {"media_t": 1.0, "histograms": {"protect": {}}})
    call = register.any_tenant("c")
    assert call is not None
    assert call.last == {"media_t": 1.0}
