"""`guardian rules`: look after the rules and try them on text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardian.core.violations import Role

if TYPE_CHECKING:
    from guardian.core.rulebook import RuleFault
    from guardian.speech.rules_folder import Rulebooks

app = typer.Typer(help="Check the rules and try them on text.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]
SpeakerOption = Annotated[Role, typer.Option(help="Who says it.")]
OverlayOption = Annotated[
    list[str] | None, typer.Option("--overlay", metavar="NAME", help="An overlay to lay over the rules.")
]


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Folder of rule files; those in use when absent.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read the rule files: faults make them unusable (exit code 1), warnings should be looked at."""
    from guardian.core.rulebook import RulesRefused
    from guardian.resources import rules_folder
    from guardian.speech.rules_folder import read_folder, rulebooks
    from guardian.speech.rules_lint import warnings

    try:
        books = rulebooks(read_folder(rules_folder(str(folder) if folder is not None else "")))
    except RulesRefused as refused:
        if as_json:
            typer.echo(json.dumps({"usable": False, "faults": _listed(refused.faults), "warnings": []}))
        else:
            for fault in refused.faults:
                typer.echo(f"guardian: {fault}", err=True)
        raise typer.Exit(1) from None
    with _progress("trying patterns") as told:
        found = warnings(books, told)
    about = _about(books)
    if as_json:
        typer.echo(json.dumps({"usable": True, "faults": [], "warnings": _listed(found), **about}))
        return
    for fault in found:
        typer.echo(f"warning: {fault}")
    counts = ", ".join(f"{count} {state}" for state, count in about["states"].items())
    laid = f" and {about['overlays']} overlays" if about["overlays"] else ""
    typer.echo(
        f"{about['rules']} rules ({counts}) with {about['patterns']} patterns and {about['phrases']} "
        f"phrases{laid} can be used; fingerprint {about['fingerprint']}."
    )


@app.command("test")
def try_lines(
    folder: Annotated[
        Path | None, typer.Option("--rules", metavar="DIR", help="Folder of rule files.")
    ] = None,
    overlay: OverlayOption = None,
    language: Annotated[
        str, typer.Option(help="zh, en or auto; text is read by its script whatever is said here.")
    ] = "auto",
    speaker: SpeakerOption = Role.MERCHANT,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Judge each line of standard input by itself."""
    from guardian.core.errors import MediaError
    from guardian.core.rules import RuleSet
    from guardian.ears import LANGUAGES
    from guardian.speech.judging import judged

    if language not in (*LANGUAGES, "auto"):
        raise typer.BadParameter(f"{language} is not one of {', '.join(LANGUAGES)}, auto.")
    books = _books(folder, overlay)
    rules = RuleSet(books.book(tuple(overlay or ())))
    if sys.stdin is None:  # closed by whoever started this
        raise MediaError("Standard input is closed; give the lines to judge there.")
    for raw in sys.stdin.buffer:
        answer = judged(raw.decode("utf-8", errors="replace").rstrip("\r\n"), rules, speaker)
        typer.echo(answer.as_json() if as_json else answer.as_line())


@app.command("backtest")
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Folder of rule files; `-` for those in use.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Folder of rule files to try.")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Lines to judge: plain, or tab-separated with columns phrase and expected."
        ),
    ],
    overlay: OverlayOption = None,
    speaker: SpeakerOption = Role.MERCHANT,
    as_json: JsonOption = False,
) -> None:
    """Judge the lines of a file by two sets of rules: what is flagged anew, no longer, or otherwise."""
    from guardian.core.rules import RuleSet
    from guardian.speech.backtest import Trial, backtest
    from guardian.speech.phrase_file import read_lines

    lines = read_lines(file)
    sets = [
        RuleSet(_books(None if str(folder) == "-" else folder, names).book(tuple(names or ())))
        for folder, names in ((old, overlay), (new, overlay))
    ]
    with _progress("judging") as told:
        judged = iter(range(1, len(lines) + 1))
        found = backtest(lines, Trial(sets[0], sets[1], speaker), lambda: told(next(judged), len(lines)))
    if as_json:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False))
        return
    for one in found.differences:
        before, after = one.before.rule or "nothing", one.after.rule or "nothing"
        typer.echo(f"{one.kind:<8}line {one.line.number}: {one.line.text}  ({before} -> {after})")
    for name, tally in (("old", found.before), ("new", found.after)):
        known = (
            f"; {tally.found} of {tally.violations} violations and {tally.false_alarms} of {tally.benign} "
            "innocent lines"
            if tally.violations or tally.benign
            else ""
        )
        typer.echo(f"{name}: {tally.flagged} of {tally.lines} lines are flagged{known}.")


def _books(folder: Path | None, overlays: list[str] | None) -> Rulebooks:
    """The rules of a folder, which has these overlays."""
    from guardian.core.errors import ConfigError
    from guardian.resources import rules_folder
    from guardian.speech.rules_folder import read_folder, rulebooks

    place = rules_folder(str(folder) if folder is not None else "")
    books = rulebooks(read_folder(place))
    for name in overlays or ():
        if name not in books.overlays:
            raise ConfigError(f"There is no overlay {name} in {place}; it would be overlays/{name}.yaml.")
    return books


def _about(books: Rulebooks) -> dict[str, Any]:
    rules = books.base.rules.values()
    states = [str(rule.state) for rule in rules]
    return {
        "fingerprint": books.fingerprint(()),
        "rules": len(rules),
        "states": {state: states.count(state) for state in ("live", "shadow", "off")},
        "patterns": sum(len(rule.patterns) for rule in rules),
        "phrases": len(books.base.entries),
        "overlays": len(books.overlays),
    }


def _listed(faults: tuple[RuleFault, ...] | list[RuleFault]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(fault) for fault in faults]


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal that can be told (done, of all)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
