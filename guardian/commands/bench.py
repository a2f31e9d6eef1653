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


@app.command()
def call(full: FullOption = False, json: JsonOption = None) -> None:
    """Delay and processor time of a whole call, beside a stock aiortc relay that does nothing."""
    from rich.console import Console
    from rich.table import Table

    from guardian.bench.call import FULL, SHORT, measure
    from guardian.bench.report import write

    said: list[str] = []
    console = Console(highlight=False)
    with Console(stderr=True).status("measuring a direct call, a stock relay and Guardian"):
        rows = measure(FULL if full else SHORT, said.append)
    table = Table(
        "size", "calls", "added ms p50", "p95", "p99", "stock p50", "p95", "p99", "cores", "stock", "PSS MB"
    )
    for row in rows:
        figures = [
            *row["added_latency_ms"].values(),
            *row["stock_relay_latency_ms"].values(),
            row["cpu_per_call"],
            row["stock_cpu_per_call"],
            row["rss_mb"],
        ]
        table.add_row(row["size"], str(row["calls"]), *("-" if f is None else f"{f:.2f}" for f in figures))
    console.print(table)
    for row in rows:
        console.print(
            f"{row['size']}: {row['over_budget']} of {row['frames']} pictures took more than the budget."
        )
    for sentence in dict.fromkeys(said):
        console.print(sentence, markup=False)
    if json is not None:
        write(json, rows)
