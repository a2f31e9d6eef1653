"""`guardian audit`: whether evidence is what it was, and gone when it should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guardian.evidence.verify import Anchor, Report

app = typer.Typer(help="The chain of evidence and decisions.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """The chain of evidence and decisions."""


@app.command()
def verify(
    data: Annotated[
        Path | None, typer.Option("--data", help="Data folder; the configured one if not given.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file.")] = None,
    anchor: Annotated[
        str,
        typer.Option("--anchor", help="A link seen before, SEQUENCE:DIGEST, as `audit` in events has it."),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Look at every link, row and file; names what was tampered with, lost, or kept too long.

    Needs no running server, and disturbs none. Where the key for evidence is at hand, files are opened too.
    """
    from dataclasses import asdict
    from json import dumps

    from rich.console import Console
    from rich.progress import Progress

    from guardian.evidence_offline import clips_in, looked_at
    from guardian.settings import load

    seen = _anchor(anchor)
    settings = load(config, {} if data is None else {"data_dir": str(data)})
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("clips", total=clips_in(settings))
        report = looked_at(settings, seen, lambda count: progress.advance(task, count))
    if json:
        typer.echo(dumps({"ok": report.ok, **asdict(report)}, ensure_ascii=False))
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(1)


def _show(report: Report) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for finding in report.findings:
        console.print(f"{'' if finding.fatal else 'note: '}{finding.about}: {finding.detail}", markup=False)
    opened = "keys not at hand" if report.opened is None else f"{report.opened} opened"
    clips = f"{report.clips} clips ({report.erased} erased)"
    console.print(f"{report.links} links, {clips}, {report.files} files ({opened})", markup=False)
    if report.head:
        console.print(f"last link {report.links}:{report.head}", markup=False)
    verdict = "Everything fits." if report.ok else "Something does not fit; see above."
    console.print(verdict, markup=False)


def _anchor(text: str) -> Anchor | None:
    import re

    from guardian.evidence.verify import Anchor

    if not text:
        return None
    found = re.fullmatch(r"([1-9]\d{0,17}):([0-9a-f]{64})", text)
    if found is None:
        raise typer.BadParameter("an anchor is SEQUENCE:DIGEST", param_hint="--anchor")
    return Anchor(int(found[1]), found[2])
