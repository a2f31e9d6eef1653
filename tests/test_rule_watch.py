"""Calls follow the rules of their server, each at its own pace."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from guardian.core.calls import CallSpec
from guardian.core.errors import CallFailed
from guardian.core.rulebook import label_of
from guardian.core.violations import Role
from guardian.rule_keeper import RuleKeeper, caller_of
from guardian.rule_watch import RuleWatch
from guardian.telemetry.metrics import Metrics
from tests.fakes.host import FakeHost

RULES = "rules: [{id: contact.add, category: contact_exchange, patterns: [加 微信]}]"
LIMIT_S = 5.0


def spec(call_id):
    return CallSpec(call_id, "default", {Role.SHOPPER: "u", Role.MERCHANT: "m"})


class Hosting(FakeHost):
    """Some calls do not take their rules: `stuck` never answers, `failing` refuses once."""

    def __init__(self):
        super().__init__(slots=4)
        self.refused = 0

    async def use_rules(self, call_id, rules):
        if call_id == "stuck":
            await asyncio.sleep(60)
        if call_id == "failing" and not self.refused:
            self.refused += 1
            raise CallFailed("The call process did not answer in time; create a new call.")
        await super().use_rules(call_id, rules)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    return tmp_path


@asynccontextmanager
async def watching(folder, *call_ids):
    """(host, keeper, watch) with calls that run by the rules of the start."""
    keeper, host = RuleKeeper(folder), Hosting()
    specs = [spec(call_id) for call_id in call_ids]
    for one in specs:
        await host.open(one, keeper.packed(caller_of(one)))
    watch = RuleWatch(keeper, lambda: specs, Metrics())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch.run(host))
        yield host, keeper, watch
        task.cancel()


async def until(true, what):
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come within {LIMIT_S} s"
        await asyncio.sleep(0.05)


def test_a_call_that_is_stuck_holds_up_no_other(folder):
    async def run():
        async with watching(folder, "stuck", "well") as (host, keeper, _):
            first = host.rules["well"]
            (folder / "rules.yaml").write_text(RULES.replace("微信", "钉钉"), encoding="utf-8")
            await until(lambda: host.rules["well"] != first, "new rules")
            (folder / "rules.yaml").write_text(RULES.replace("微信", "抖音"), encoding="utf-8")
            await until(lambda: label_of(host.rules["well"]) == keeper.books.book(()).label, "newer rules")
            return host.rules["stuck"], first

    stuck, first = asyncio.run(run())
    assert stuck == first


def test_a_call_that_did_not_take_its_rules_is_given_them_again(folder, monkeypatch):
    monkeypatch.setattr("guardian.rule_watch.AGAIN_S", 0.0)

    async def run():
        async with watching(folder, "failing") as (host, _, _):
            first = host.rules["failing"]
            (folder / "rules.yaml").write_text(RULES.replace("微信", "钉钉"), encoding="utf-8")
            await until(lambda: host.rules["failing"] != first, "new rules")
            return host.refused

    assert asyncio.run(run()) == 1


def test_rules_that_stay_are_handed_to_nobody(folder):
    async def run():
        async with watching(folder, "well") as (host, _, watch):
            given = []
            host.use_rules = lambda *told: given.append(told)
            for _ in range(3):
                watch.wake()
                await asyncio.sleep(0.1)
            return given

    assert asyncio.run(run()) == []
