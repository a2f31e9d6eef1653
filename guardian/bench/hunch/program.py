"""The commands of `benchmarks/hunch.py`: measure, and make the weights that come with the rules."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from guardian.bench.hunch.learning import SEED, Effort
from guardian.bench.hunch.measuring import SCRIPT, Made, Matter, made, matter
from guardian.bench.hunch.talk import hours
from guardian.bench.report import write
from guardian.bench.script import Steps, app_of
from guardian.core.errors import GuardianError
from guardian.demo.ending import run_until_told
from guardian.resources import rules_folder
from guardian.speech.hunch_file import FILE, written
from guardian.speech.rules_folder import write_file

app = app_of({"measure": SCRIPT}, "What hunches are made of, and what they are worth.")


@app.command()
def train(
    out: Annotated[Path | None, typer.Option("--out", help="Where to; else into the rules.")] = None,
    also: Annotated[list[Path] | None, typer.Option(help="More tables; they bring no pieces.")] = None,
    pieces: Annotated[int, typer.Option(min=1, max=20_000, help="How many are kept.")] = Effort().pieces,
    json: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Learns the weights anew, and writes them."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            found, result = run_until_told(_made(also or [], Effort(pieces=pieces), Steps(progress)))
        path = out or rules_folder("") / FILE
        write_file(path, written(result.weights, _notes(found)))
        if json is not None:
            write(json, result.rows)
    except (GuardianError, OSError) as error:
        Console(stderr=True).print(str(error), markup=False)
        raise typer.Exit(1) from error
    Console().print(f"{len(result.weights.pieces)} pieces are in {path}.", markup=False)


async def _made(also: list[Path], effort: Effort, steps: Steps) -> tuple[Matter, Made]:
    found = matter(also, steps)
    return found, await made(found, effort, steps)


def _notes(found: Matter) -> list[str]:
    authors = Counter(one.author for one in found.phrases)
    bare = {one.author for one in found.phrases if one.bare}
    listed = ", ".join(
        f"{author} ({count}{', no pieces of its own' if author in bare else ''})"
        for author, count in sorted(authors.items())
    )
    return [
        "What hunches weigh, made by `python benchmarks/hunch.py train`. docs/rules.md says how it is read.",
        f"Learned from phrases of {listed};",
        f"and as innocent from {hours(found.talk, 'zh'):.2f} h of Mandarin"
        f" and {hours(found.talk, 'en'):.2f} h of English as recognisers heard it. Seed {SEED}.",
    ]
