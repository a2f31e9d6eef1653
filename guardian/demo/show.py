"""`guardian demo` put together: sources, the call or the page, and what is printed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from guardian.core.errors import ConfigError, MediaError
from guardian.demo import headless, newcomer, own_server
from guardian.demo import visit as visiting
from guardian.demo.ending import run_until_told
from guardian.demo.sources import FileSource, PictureSource, SceneSource
from guardian.demo.voices import length_s, script
from guardian.models import ModelStore
from guardian.resources import checkout
from guardian.vision.people import SelfieSegmenter


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for."""

    headless: bool
    seconds: float
    out: Path
    video: Path | None
    audio: Path | None


@dataclass(frozen=True, slots=True)
class Guest:
    """Who calls through servers that run: their urls, where the API key lies, how long, which camera."""

    urls: tuple[str, ...]
    key_file: Path | None
    seconds: float
    video: Path | None


def shared_media() -> Path | None:
    """The folder of recorded media: GUARDIAN_SHARED, or beside the checkout; None without."""
    named = os.environ.get("GUARDIAN_SHARED")
    if named is not None:
        folder: Path | None = Path(named) / "media"
    else:
        root = checkout()
        folder = root.parent / "shared" / "media" if root is not None else None
    return folder if folder is not None and folder.is_dir() else None


def picture_source(video: Path | None, media: Path | None) -> PictureSource:
    """One's own file as it is; else the talking head or the generated scene, with the canary."""
    if video is not None:
        return FileSource(_existing(video), None)
    people = SelfieSegmenter(ModelStore.default().find("person").files["model"])
    clip = media / "video" / "talking_head_640x360.mp4" if media is not None else None
    return FileSource(clip, people) if clip is not None and clip.is_file() else SceneSource(people)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise MediaError(f"{path} is not a file; give one that is there.")
    return path


def show(wish: Wish) -> None:
    """Runs the demo; exits 1 when something of it did not work."""
    console = Console(stderr=True, highlight=False)
    try:
        wish.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(
            f"{wish.out} cannot be written to ({error.strerror}); give another folder with --out."
        ) from error
    media = shared_media()
    if not wish.headless:
        _page(wish, console)
        return
    source = picture_source(wish.video, media)
    lines = script(media, _existing(wish.audio) if wish.audio is not None else None)
    total = max(wish.seconds, length_s(lines))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=total)
        outcome = run_until_told(
            headless.run(
                source,
                lines,
                wish.seconds,
                wish.out,
                lambda gone, what: bar.update(task, completed=gone, description=what),
            )
        )
    _report(outcome.summary, wish.out)
    for failure in outcome.failures:
        console.print(f"guardian: {failure}.", markup=False)
    if outcome.failures:
        raise typer.Exit(1)


def visit(guest: Guest) -> None:
    """A call through servers that run; a line for each picture that came, was gone, and came back."""
    key = _key(guest.key_file) if guest.key_file is not None else None
    source = picture_source(guest.video, shared_media())
    began = time.monotonic()

    def tell(what: str) -> None:
        typer.echo(f"{time.monotonic() - began:6.1f} s  {what}")

    run_until_told(visiting.run(visiting.Visit(guest.urls, key, guest.seconds), source, tell))


def _key(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The API key cannot be read from {file}; name the file that holds it.") from error


def _report(summary: Mapping[str, Any], out: Path) -> None:
    """What happened, for a person."""
    console = Console(highlight=False)
    frames, latency = summary["frames"], summary["latency_ms"]
    console.print(
        f"The shopper sent {frames['sent']} pictures; the merchant received {frames['received']}: "
        f"{frames['covered']} covered, {frames['held']} held, {frames['curtain']} curtain."
    )
    canary = summary["canary"]
    if canary["searched_blocks"]:
        console.print(
            f"Canary blocks that got through: {canary['seen_blocks']} of {canary['searched_blocks']}."
        )
    table = Table("stage (ms)", "p50", "p95", "p99", "max")
    for stage, numbers in latency.items():
        table.add_row(stage, *(f"{numbers[name]:.1f}" for name in ("p50", "p95", "p99", "max")))
    console.print(table)
    for line in summary["said"]:
        found = [v for v in summary["violations"] if v["id"] in line["violations"]]
        verdict = ", ".join(f"{v['category']} {v['level']} ({v['status']})" for v in found) or "nothing"
        language = f" ({line['language']})" if line["language"] else ""
        console.print(f"{line['speaker']} said {line['name']}{language}: {verdict}", markup=False)
    console.print(
        f"{summary['events']} events in {out / 'events.jsonl'}; picture, video and summary are beside it."
    )
    console.print(f"Look at {out / 'before_after.png'} and play {out / 'protected.mp4'}.")
    found = sum(violation["status"] != "retracted" for violation in summary["violations"])
    console.print(
        f"Cases to review: {found}. For them, and for the page with your own camera: "
        f"guardian demo --out {out}",
        markup=False,
    )


def _invitation(base_url: str, account: newcomer.Account) -> str:
    return (
        "What is flagged in a call becomes a case: "
        f"sign in at {base_url}/review as {account.name} with the password {account.password}"
    )


def _page(wish: Wish, console: Console) -> None:
    """Serves the try-it page until interrupted."""

    async def serve() -> None:
        async with own_server.running_server(wish.out) as base_url:
            account = await asyncio.to_thread(newcomer.let_in, own_server.settings_file(wish.out))
            console.print(f"Open {base_url}/demo in a browser; Ctrl-C ends it.", soft_wrap=True)
            if account is not None:
                console.print(_invitation(base_url, account), markup=False, soft_wrap=True)
            typer.launch(f"{base_url}/demo")
            await asyncio.Event().wait()

    try:
        run_until_told(serve())
    except KeyboardInterrupt:
        console.print("Ended.")
