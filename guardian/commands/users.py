"""`guardian users`: who may sign in at the console; on the store itself, whether or not a server runs.

What is changed holds at once on a running server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardian.core.people import Duty, Person

if TYPE_CHECKING:
    from guardian.people_offline import OfflinePeople
    from guardian.settings import Settings

app = typer.Typer(
    help="Accounts of the console: made, listed, changed and disabled here. Passwords are asked for, or read "
    "from the first line of stdin; never given as arguments.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The name to sign in with.")]
Roles = Annotated[
    list[Duty] | None, typer.Option("--role", help="What they may do; give it again for more than one.")
]
Display = Annotated[str | None, typer.Option("--display", help="The name that others see.")]
Language = Annotated[str | None, typer.Option("--language", help="en or zh.")]
Zone = Annotated[str | None, typer.Option("--zone", help="Time zone, as Asia/Shanghai.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="The platform; that of the keys if not given.")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file of the server.")]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder; the configured one if not given.")]


@app.command()
def add(
    name: Name,
    role: Roles = None,
    display: Display = None,
    language: Language = None,
    zone: Zone = None,
    tenant: Tenant = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Make an account; the first one of a platform is an admin's, unless roles are given."""
    from guardian.core.people_desk import NewPerson
    from guardian.people_offline import doer, usual_tenant

    with _people(config, data) as (settings, offline):
        platform = tenant if tenant is not None else usual_tenant(settings)
        first = not offline.people.all(platform)
        if not role and not first:
            raise typer.BadParameter("say what they may do", param_hint="--role")
        new = NewPerson(
            tenant=platform,
            name=name,
            display=display if display is not None else name,
            duties=frozenset(role or {Duty.ADMIN}),
            language=language if language is not None else "en",
            zone=zone if zone is not None else "UTC",
        )
        offline.keeper.check(new)  # Before a password is asked for.
        person = offline.keeper.add(doer(platform), new, _password())
    typer.echo(f"{person.name} ({_roles(person)}) of {person.tenant} can sign in at /review.")


@app.command("list")
def list_people(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Of this platform only.")] = None,
    config: Config = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show the accounts there are."""
    import json

    from rich.console import Console
    from rich.table import Table

    with _people(config, data) as (_, offline):
        found = offline.people.all(tenant)
    if as_json:
        for person in found:
            typer.echo(json.dumps(_row(person), ensure_ascii=False))
        return
    table = Table("name", "shown as", "tenant", "roles", "language", "zone", "disabled", box=None)
    for person in found:
        row = _row(person)
        shown = (row["name"], row["display"], row["tenant"], _roles(person), row["language"], row["zone"])
        table.add_row(*map(_plain, shown), row["disabled_at"] or "-")
    Console(highlight=False).print(table)


@app.command("set")
def change(
    name: Name,
    role: Roles = None,
    display: Display = None,
    language: Language = None,
    zone: Zone = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Change an account; roles given take the place of those it has, also for who is signed in."""
    from guardian.core.people_desk import PersonChange
    from guardian.people_offline import doer

    wish = PersonChange(
        display=display, duties=frozenset(role) if role else None, language=language, zone=zone
    )
    if wish == PersonChange():
        raise typer.BadParameter("say what is to be different, as --role")
    with _people(config, data) as (_, offline):
        person = offline.named(name)
        after = offline.keeper.change(doer(person.tenant), person, wish)
    typer.echo(f"{after.name} ({_roles(after)}) of {after.tenant}, shown as {_plain(after.display)}.")


@app.command()
def disable(name: Name, config: Config = None, data: Data = None) -> None:
    """Let nobody sign in with an account any more, and end its sessions; decisions keep its id."""
    from guardian.people_offline import doer

    with _people(config, data) as (_, offline):
        person = offline.named(name)
        offline.keeper.disable(doer(person.tenant), person)
    typer.echo(f"{person.name} of {person.tenant} is disabled; `guardian users enable` undoes it.")


@app.command()
def enable(name: Name, config: Config = None, data: Data = None) -> None:
    """Let somebody sign in again."""
    from guardian.people_offline import doer

    with _people(config, data) as (_, offline):
        person = offline.named(name)
        offline.keeper.enable(doer(person.tenant), person)
    typer.echo(f"{person.name} of {person.tenant} can sign in.")


@app.command()
def password(name: Name, config: Config = None, data: Data = None) -> None:
    """Set another password and end the sessions of an account."""
    from guardian.people_offline import doer

    with _people(config, data) as (_, offline):
        person = offline.named(name)
        offline.keeper.set_password(doer(person.tenant), person, _password())
    typer.echo(f"{person.name} of {person.tenant} has another password.")


@contextmanager
def _people(config: Path | None, data: Path | None) -> Iterator[tuple[Settings, OfflinePeople]]:
    from guardian.ownership import handing_over
    from guardian.people_offline import opened_people
    from guardian.settings import load

    settings = load(config, {} if data is None else {"data_dir": str(data)})
    with handing_over(settings.data_path), opened_people(settings) as offline:
        yield settings, offline


def _password() -> str:
    """From the keyboard, unseen and typed twice; or the first line of what is piped in."""
    import sys

    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    line = sys.stdin.readline(4096)
    return line.rstrip("\r\n")


def _row(person: Person) -> dict[str, Any]:
    from guardian.core.times import rfc3339

    return {
        "id": person.id,
        "name": person.name,
        "display": person.display,
        "tenant": person.tenant,
        "roles": sorted(duty.value for duty in person.duties),
        "language": person.language,
        "zone": person.zone,
        "made_at": rfc3339(person.made_at),
        "disabled_at": None if person.disabled_at is None else rfc3339(person.disabled_at),
    }


def _roles(person: Person) -> str:
    return ", ".join(sorted(duty.value for duty in person.duties))


def _plain(text: str) -> str:
    """Nothing in it is markup, nor moves the cursor."""
    from rich.markup import escape

    return escape("".join(one if one.isprintable() else "?" for one in text))
