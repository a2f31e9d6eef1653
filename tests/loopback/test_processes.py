"""Processes that die, and what a call connects to."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal

import httpx
import psutil
import pytest

from tests.loopback.harness import calling, serving

pytestmark = pytest.mark.live

_CONNECT = re.compile(r"(?:connect|sendto|sendmsg)\(\d+.*?sa_family=(AF_\w+)(.*)")
_ADDRESS = re.compile(r'inet_addr\("([\d.]+)"\)|inet_pton\(AF_INET6, "([0-9a-f:.]+)"')


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server"), broken=True) as running:
        yield running


def _children(server):
    return psutil.Process(server.process.pid).children(recursive=True)


async def _covered(call, limit_s=20):
    return await call.until(lambda s: s["frames"]["covered"] > 0, limit_s, "a protected picture")


@pytest.mark.parametrize("which", ["all at once", "one"])
def test_killed_processes_leak_nothing_and_the_server_lives(server, which):
    async def scenario():
        async with calling(server, purpose="fault:none:0") as call:
            await _covered(call)
            victims = _children(server) if which == "all at once" else _children(server)[:1]
            assert victims
            for victim in victims:
                victim.send_signal(signal.SIGKILL)
            status = await call.until(lambda s: s["state"] == "failed", 10, "the end of the call")
            view = call.view
        async with calling(server, purpose="fault:none:0") as again:
            await _covered(again)
            return view, again.view, status

    view, again, status = asyncio.run(scenario())
    assert view.canary_blocks == again.canary_blocks == 0
    assert httpx.get(f"{server.url}/livez", trust_env=False).status_code == 200
    mine = [e for e in server.events() if status["call_id"] in e["source"]]
    assert (mine[-1]["type"].split(".")[-3:-1], mine[-1]["data"]["reason"]) == (["call", "left"], "failed")
    sequences = [int(e["sequence"]) for e in mine]
    assert sequences == list(range(1, len(mine) + 1)), "no event is missing"


def test_a_stopped_process_is_found_and_killed(server):
    async def scenario():
        async with calling(server, purpose="fault:none:0") as call:
            await _covered(call)
            for child in _children(server):
                child.send_signal(signal.SIGSTOP)
            await call.until(lambda s: s["state"] == "failed", 20, "the end of the wedged call")
            return call.view

    assert asyncio.run(scenario()).canary_blocks == 0
    assert not _children(server)


def test_call_processes_die_with_the_server(tmp_path):
    async def scenario(running):
        # The client's good-bye finds no server any more.
        with contextlib.suppress(httpx.HTTPError, ExceptionGroup):
            async with calling(running, purpose="fault:none:0") as call:
                await _covered(call)
                children.extend(_children(running))
                running.process.kill()
                running.process.wait()

    children: list[psutil.Process] = []
    with serving(tmp_path, broken=True) as running:
        asyncio.run(scenario(running))
    assert children
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive


def test_a_call_connects_to_this_machine_only(tmp_path, need):
    strace = need("strace")
    trace = tmp_path / "trace"
    # -D: the server stays the process that was started, so that it, not strace, is told to end.
    what = ("-e", "trace=connect,sendto,sendmsg", "-o", str(trace))
    prefix = (strace, "-D", "-f", "--seccomp-bpf", "-qq", *what)

    async def scenario(running):
        async with calling(running) as call:
            await _covered(call, 60)
            await asyncio.sleep(3)
            return await call.status()

    with serving(tmp_path / "server", prefix=prefix) as running:
        asyncio.run(scenario(running))
    here = {a.address.split("%")[0] for addresses in psutil.net_if_addrs().values() for a in addresses}
    elsewhere = set()
    seen = 0
    for line in trace.read_text("utf-8", "replace").splitlines():
        found = _CONNECT.search(line)
        if found is None or found[1] in ("AF_UNIX", "AF_NETLINK", "AF_UNSPEC"):
            continue
        seen += 1
        address = _ADDRESS.search(found[2])
        name = (address[1] or address[2]) if address else found[2]
        if name.removeprefix("::ffff:") not in here:
            elsewhere.add(name)
    assert seen > 100, "the media were traced"
    assert not elsewhere
