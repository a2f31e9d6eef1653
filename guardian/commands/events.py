"""`guardian events`: what was not delivered, and the endpoints; on the store itself, whether or not a
server runs. A running server notices within half a minute; the API tells it at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardian.core.times import rfc3339

if TYPE_CHECKING:
    from guardian.core.delivery import DeadFilter
    from guardian.event_desk import StoreEvents

app = typer.Typer(help="Events that were not delivered, and where events go.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option(help="Settings file of the server.")]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder; the configured one if not given.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Endpoint = Annotated[str | None, typer.Option(help="Of this endpoint only.")]
Kind = Annotated[str | None, typer.Option("--type", help="Of this type only, as violation.detected.")]
Call = Annotated[str | None, typer.Option(help="Of this call only.")]


@app.command()
def dead(
    endpoint: Endpoint = None,
    kind: Kind = None,
    call: Call = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 100,
    config: Config = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List events that an endpoint did not take in all their tries."""
    from rich.console import Console
    from rich.table import Table

    with _events(config, data) as desk:
        page = desk.dead(_which(endpoint, kind, call), limit, 0)
    if as_json:
        for letter in page.letters:
            times = {"at": rfc3339(letter.at), "died_at": rfc3339(letter.died_at)}
            typer.echo(json.dumps({**asdict(letter), **times}))
        return
    table = Table("event", "endpoint", "type", "call", "died", "tries", "why", box=None)
    for one in page.letters:
        row = (one.event_id, one.endpoint, one.type, one.call_id, rfc3339(one.died_at), str(one.attempts))
        table.add_row(*row, one.error)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{page.total} in all; `guardian events replay` delivers them anew.", markup=False)


@app.command()
def replay(
    endpoint: Endpoint = None,
    kind: Kind = None,
    call: Call = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Deliver dead events anew, with all their tries."""
    with _events(config, data) as desk:
        count = desk.replay(_which(endpoint, kind, call))
    typer.echo(f"{count} events are delivered anew.")


@app.command()
def discard(
    endpoint: Endpoint = None,
    kind: Kind = None,
    call: Call = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Give up dead events for good; their endpoints are never told of them."""
    which = _which(endpoint, kind, call)
    with _events(config, data) as desk:
        count = desk.dead(which, 1, 0).total
        if count and not yes:
            typer.confirm(f"{count} dead events are given up for good. Go on?", abort=True, err=True)
        gone = desk.discard(which, count)
    typer.echo(f"{gone} events are given up.")


@app.command()
def endpoints(config: Config = None, data: Data = None, as_json: Json = False) -> None:
    """Show where events go, and what waits there."""
    from rich.console import Console
    from rich.table import Table

    with _events(config, data) as desk:
        states = desk.endpoints(None)
    if as_json:
        for state in states:
            typer.echo(json.dumps(asdict(state)))
        return
    table = Table("endpoint", "waiting", "dead", "state", box=None)
    for state in states:
        told = "sent to" if state.configured else "not in the settings"
        if state.disabled_at is not None:
            told = f"disabled since {rfc3339(state.disabled_at)}: {state.reason}"
        table.add_row(state.name, str(state.pending), str(state.dead), told)
    Console(highlight=False).print(table)


@app.command()
def enable(
    name: Annotated[str, typer.Argument(help="The endpoint, as in the settings.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Send to an endpoint again that has answered 410."""
    with _events(config, data) as desk:
        desk.enable(None, name)
    typer.echo(f"{name} is sent to again.")


@app.command()
def schemas(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them.")],
) -> None:
    """Write the JSON schema of every event, one file each."""
    from guardian.events.schemas import write_schemas

    typer.echo(f"{len(write_schemas(folder))} schemas are in {folder}.")


@contextmanager
def _events(config: Path | None, data: Path | None) -> Iterator[StoreEvents]:
    from guardian.core.clock import SteadyClock
    from guardian.event_desk import StoreEvents
    from guardian.settings import load
    from guardian.store.upgrade import open_store

    given: dict[str, Any] = {"data_dir": str(data)} if data is not None else {}
    settings = load(config, given)
    database = open_store(settings.store_config())
    try:
        yield StoreEvents(database, settings.events.routes, SteadyClock())
    finally:
        database.close()


def _which(endpoint: str | None, kind: str | None, call: str | None) -> DeadFilter:
    from guardian.core.delivery import DeadFilter

    return DeadFilter(endpoint=endpoint, type=kind, call_id=call)
