"""`guardian migrate`: brings the store to what this Guardian works with."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer


def migrate(
    config: Annotated[Path | None, typer.Option(help="Settings file of the server.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data folder; the configured one if not given.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 when there is something to do.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Bring the store up to date; the server must not run."""
    import json

    from guardian.core.errors import Unavailable
    from guardian.settings import load
    from guardian.store.database import Database
    from guardian.store.lock import DataLock
    from guardian.store.upgrade import Standing, newest, revision, standing, upgrade

    given: dict[str, Any] = {"data_dir": str(data)} if data is not None else {}
    settings = load(config, given)
    place = settings.store_config()
    if check and not place.url and not place.file.exists():
        raise Unavailable(f"There is no store {place.file}; `guardian serve` makes one.")
    steps: list[str] = []
    with ExitStack() as undo:
        if not check:
            lock = DataLock(settings.data_path)
            undo.callback(lock.close)
        database = Database(place)
        undo.callback(database.close)
        before, found = revision(database), standing(database)
        if not check:
            undo.enter_context(database.alone())
            upgrade(database, steps.append)
    todo = check and found is not Standing.CURRENT
    if as_json:
        about = {"store": database.name, "was": before, "standing": found.value, "newest": newest()}
        typer.echo(json.dumps({**about, "steps": steps}))
    elif todo:
        typer.echo(f"The store {database.name} is {found.value} ({before or 'nothing'}, not {newest()}).")
    elif steps:
        typer.echo(f"The store {database.name} went from {before or 'nothing'} to {' and '.join(steps)}.")
    else:
        typer.echo(f"The store {database.name} is up to date ({newest()}).")
    if todo:
        raise typer.Exit(1)
