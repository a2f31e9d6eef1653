"""`guardian rules`: look after the rules and try them on text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from guardian.core.violations import Role

app = typer.Typer(help="Check the rules and try them on text.", no_args_is_help=True)


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Folder of rule files; those in use when absent.")
    ] = None,
) -> None:
    """Read the rule files and say whether they can be used."""
    from guardian.ears import rules_for

    rules = rules_for(str(folder) if folder is not None else "")
    states = [str(rule.state) for rule in rules.rules]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("live", "shadow", "off"))
    patterns = sum(len(rule.patterns) for rule in rules.rules)
    typer.echo(
        f"{len(rules.rules)} rules ({counts}) with {patterns} patterns and "
        f"{len(rules.lexicon.entries)} phrases can be used."
    )


@app.command("test")
def try_lines(
    folder: Annotated[
        Path | None, typer.Option("--rules", metavar="DIR", help="Folder of rule files.")
    ] = None,
    language: Annotated[
        str, typer.Option(help="zh, en or auto; text is read by its script whatever is said here.")
    ] = "auto",
    speaker: Annotated[Role, typer.Option(help="Who says it.")] = Role.MERCHANT,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Judge each line of standard input by itself."""
    from guardian.core.errors import MediaError
    from guardian.ears import LANGUAGES, rules_for
    from guardian.speech.judging import judged

    if language not in (*LANGUAGES, "auto"):
        raise typer.BadParameter(f"{language} is not one of {', '.join(LANGUAGES)}, auto.")
    rules = rules_for(str(folder) if folder is not None else "")
    if sys.stdin is None:  # closed by whoever started this
        raise MediaError("Standard input is closed; give the lines to judge there.")
    for raw in sys.stdin.buffer:
        answer = judged(raw.decode("utf-8", errors="replace").rstrip("\r\n"), rules, speaker)
        typer.echo(answer.as_json() if as_json else answer.as_line())
