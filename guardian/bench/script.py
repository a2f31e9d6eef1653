"""What the scripts in benchmarks/ have in common: options, progress, a table, a file, an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from guardian.bench.report import busy, write
from guardian.core.errors import GuardianError
from guardian.demo.ending import run_until_told

Row = dict[str, Any]
_PAGE = 130
"""Columns of a table that goes to a file."""


class Steps:
    """Tells how far the measuring is; `total` is set by whoever knows."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None)

    def expect(self, total: int) -> None:
        """How many steps there are."""
        self._progress.update(self._task, total=total)

    def begin(self, what: str) -> None:
        """The next step begins."""
        self._progress.update(self._task, description=what)

    def done(self) -> None:
        """A step is over."""
        self._progress.advance(self._task)


def quiet_steps() -> Steps:
    """Steps that nobody is told of."""
    return Steps(Progress(disable=True))


Measure = Callable[[Steps], Coroutine[Any, Any, list[Row]]]


@dataclass(frozen=True, slots=True)
class Script:
    """One question.

    whole, quick: measure and give the rows. columns, cells: the table, and what it shows of a row.
    misses: sentences about what has to hold and did not. drawing: the rows as SVG, if they can be drawn.
    notes: sentences about what a person should look at; they fail nothing.
    """

    question: str
    whole: Measure
    quick: Measure
    columns: Sequence[str]
    cells: Callable[[Row], Sequence[Any]]
    misses: Callable[[Sequence[Row]], list[str]]
    drawing: Callable[[Sequence[Row]], str] | None = None
    notes: Callable[[Sequence[Row]], list[str]] | None = None
    timed: bool = True
    """Whether other work on the machine falsifies the figures."""


def run(script: Script) -> None:
    """Runs the script as a program; exits with 0, with 1 if nothing could be measured or a target was
    missed with --check, with 2 for wrong usage."""
    program = _program()
    program.command(help=script.question)(_command({"": script}))
    program()


def app_of(scripts: Mapping[str, Script], question: str) -> typer.Typer:
    """A program with a command for each script, and `all` for one after the other."""
    program = _program(question)
    for name, script in scripts.items():
        program.command(name, help=script.question)(_command({"": script}))
    program.command("all", help="All of them; --plot writes a file for each, named after it.")(
        _command(scripts)
    )
    return program


def _program(question: str | None = None) -> typer.Typer:
    return typer.Typer(
        help=question,
        add_completion=False,
        pretty_exceptions_show_locals=False,
        no_args_is_help=question is not None,
    )


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for on the command line."""

    quick: bool
    json: Path | None
    plot: Path | None
    check: bool


def _command(scripts: Mapping[str, Script]) -> Callable[..., None]:
    """The command that runs these scripts by name, one after the other."""

    def main(
        quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter runs.")] = False,
        json: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
        plot: Annotated[Path | None, typer.Option("--plot", help="Draw the figures here, as SVG.")] = None,
        check: Annotated[bool, typer.Option("--check", help="Fail where a target is missed.")] = False,
    ) -> None:
        work(scripts, Wishes(quick, json, plot, check))

    return main


def work(scripts: Mapping[str, Script], wishes: Wishes) -> None:
    """Measures, shows, writes and checks; exits as `run` does."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PAGE)
    if wishes.plot is not None and all(script.drawing is None for script in scripts.values()):
        raise typer.BadParameter("There is nothing to draw for this question.")
    sentence = busy() if any(script.timed for script in scripts.values()) else None
    rows: dict[str, list[Row]] = {}
    try:
        for name, script in scripts.items():
            rows[name] = _measured(script, wishes)
            if name:
                console.print(script.question, markup=False)
            _show(console, script, rows[name])
            if wishes.plot is not None and script.drawing is not None:
                path = wishes.plot.with_stem(f"{wishes.plot.stem}-{name}") if name else wishes.plot
                path.write_text(script.drawing(rows[name]), encoding="utf-8")
        if wishes.json is not None:
            write(
                wishes.json,
                [{"table": name, **row} if name else row for name in rows for row in rows[name]],
            )
    except (GuardianError, OSError, ExceptionGroup) as error:
        reason = _sentence(error)
        if reason is None:
            raise
        Console(stderr=True).print(reason, markup=False)
        raise typer.Exit(1) from error
    missed = [said for name, script in scripts.items() for said in script.misses(rows[name])]
    for said in [*([sentence] if sentence else []), *missed]:
        console.print(said, markup=False)
    if wishes.check and missed:
        raise typer.Exit(1)


def _measured(script: Script, wishes: Wishes) -> list[Row]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        return run_until_told((script.quick if wishes.quick else script.whole)(Steps(progress)))


def _sentence(error: Exception) -> str | None:
    """What to tell of an expected error, also out of a group; None for any other."""
    if isinstance(error, ExceptionGroup):
        found = [_sentence(inner) for inner in error.exceptions]
        return next((sentence for sentence in found if sentence is not None), None)
    return str(error) if isinstance(error, GuardianError | OSError) else None


def _show(console: Console, script: Script, rows: Sequence[Row]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in script.columns:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(figure(cell) for cell in script.cells(row)))
    console.print(table)
    for said in script.notes(rows) if script.notes is not None else ():
        console.print(said, markup=False)


def figure(value: Any) -> str:
    """A cell of a table."""
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
