"""The demo's own server: `guardian serve` as a process, with its store in a folder of the demo."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from guardian.core.errors import Unavailable

_START_S = 40.0
_STOP_S = 25.0
_SETTINGS = """\
data_dir = {data}
[limits]
# One call is shown, and nothing is to load beside it.
spares = 0
[server]
# Whoever ends the demo has seen enough of its call.
drain_s = 0
[events]
file = "../events.jsonl"
[review]
# One person alone can finish a case: nobody decides one twice.
second_levels = []
second_share = 0.0
"""
"""Events lie beside the data folder, where they are looked for."""
_LISTENING = re.compile(r"listening on (http://\S+)")


@asynccontextmanager
async def running_server(out: Path, extra: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """`guardian serve` on a free port with its store in `out`/data; yields its base URL."""
    config = settings_file(out)
    await asyncio.to_thread(_ready_to_keep, config)
    log = (out / "data" / "serve.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "guardian", "serve", "--config", str(config), "--port", "0",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
        env={**os.environ, **(extra or {})},
    )  # fmt: skip
    log.close()
    try:
        yield await _address(process, out)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def settings_file(out: Path) -> Path:
    """Where the settings of the demo's server lie: in its data folder."""
    return (out / "data").absolute() / "demo.toml"


def _ready_to_keep(config: Path) -> None:
    """Settings, a key for evidence, and a store that an older demo left there brought up to date."""
    from guardian.evidence.keyfile import EvidenceKeyFile
    from guardian.store.database import Database, StoreConfig
    from guardian.store.upgrade import Standing, standing, upgrade

    data = config.parent
    data.mkdir(parents=True, exist_ok=True)
    config.write_text(_SETTINGS.format(data=json.dumps(str(data))), encoding="utf-8")
    keys = EvidenceKeyFile(data / "evidence.key")
    if keys.ring() is None:
        keys.create()
    database = Database(StoreConfig(data / "guardian.db"))
    try:
        if standing(database) is Standing.OLDER:
            upgrade(database)
    finally:
        database.close()


async def _address(process: asyncio.subprocess.Process, out: Path) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_S):
            while line := await process.stdout.readline():
                if found := _LISTENING.search(line.decode(errors="replace")):
                    return found[1]
    except TimeoutError:
        pass
    log = out / "data" / "serve.log"
    said = await asyncio.to_thread(log.read_text, "utf-8", "replace")
    reasons = [line.removeprefix("guardian: ") for line in said.splitlines() if line.startswith("guardian: ")]
    raise Unavailable(reasons[-1] if reasons else f"The server did not start; {log} says why.")
