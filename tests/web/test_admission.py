"""The register of calls, also while metrics are gathered in another thread."""

import gc
import sys
import threading

import pytest

from guardian.core.calls import CallSpec
from guardian.core.violations import Role
from guardian.web.admission import Admitted, Register


def admit(register, call_id, client=""):
    register.admit(CallSpec(call_id, "t", {Role.SHOPPER: "s", Role.MERCHANT: "m"}), {}, 60.0, client)


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
        admit(register, f"c{i}")
        if i > 50:
            register.end(f"c{i - 50}", "done", {})
    stop.set()
    scraper.join()
    assert failed == []
    assert len(register.live()) == 51


def test_calls_come_while_the_collector_runs_in_a_listing():
    # The collector may begin at whatever is made, and with it whatever lets other threads in. More calls
    # than there are tuples that the interpreter keeps to give out again.
    register = Register()
    for i in range(3000):
        admit(register, f"c{i}")
    before, come = gc.get_threshold(), []

    def interrupt(phase, info):
        come.append(f"new{len(come)}")
        admit(register, come[-1])

    gc.callbacks.append(interrupt)
    gc.set_threshold(1)
    try:
        for _ in range(5):
            register.live()
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(interrupt)
    assert come
    assert set(register.live()) >= {*come, "c0", "c2999"}


def test_the_last_thousand_ended_calls_are_known():
    register = Register()
    for i in range(1002):
        admit(register, f"c{i}")
    for i in range(1001, -1, -1):
        assert register.end(f"c{i}", "done", {})
    assert not register.end("c0", "again", {})
    assert register.live() == []
    assert register.any_tenant("c1001") is None
    assert register.any_tenant("c1000") is None
    assert all(register.any_tenant(f"c{i}") for i in range(1000))


def test_a_call_taken_again_is_live():
    register = Register()
    admit(register, "c", "client")
    call = register.any_tenant("c")
    register.end("c", "failed", {})
    assert register.held_by("client") == 0
    register.readmit(Admitted(call.spec, {}, call.legs, "client"))
    assert register.live() == ["c"]
    assert register.any_tenant("c").ended is None
    assert register.held_by("client") == 1


def test_an_ended_call_keeps_no_histograms():
    register = Register()
    admit(register, "c")
    register.end("c", "done", {"media_t": 1.0, "histograms": {"protect": {}}})
    call = register.any_tenant("c")
    assert call is not None
    assert call.last == {"media_t": 1.0}
