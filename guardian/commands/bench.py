"""`guardian bench`: one question each, with peers in the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)

FullOption = Annotated[bool, typer.Option("--full", help="Measure longer than two minutes.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures here.")]


@app.command()
def vision(full: FullOption = False, json: JsonOption = None) -> None:
    """Milliseconds per frame in the protection chain, at 640x480 and 1280x720."""
    from rich.console import Console
    from rich.table import Table

    from guardian.bench.report import write
    from guardian.bench.vision import FULL, SHORT, measure

    said: list[str] = []
    rows = measure(FULL if full else SHORT, said.append)
    table = Table("size", "protect p50", "p95", "p99", "max", "deface", "plain MediaPipe", "ratio")
    for row in rows:
        times = row["protect_ms"]
        figures = [*times.values(), row["deface_ms"], row["plain_mediapipe_ms"], row["ratio_plain"]]
        table.add_row(row["size"], *("-" if figure is None else f"{figure:.2f}" for figure in figures))
    console = Console(highlight=False)
    console.print(table)
    for sentence in dict.fromkeys(said):
        console.print(sentence, markup=False)
    if json is not None:
        write(json, rows)
