"""`guardian keys`: who may create calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guardian.web.keyfile import ApiKey, KeyFile

app = typer.Typer(
    help="API keys: made, listed and revoked here; shown once, stored as hashes.", no_args_is_help=True
)

Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the server; the configured one if not given.")
]
Tenant = Annotated[str, typer.Option("--tenant", help="The platform this key belongs to.")]


@app.command()
def init(data: Data = None, tenant: Tenant = "default") -> None:
    """Make the key file with a first key, and a secret for signing webhooks."""
    import base64
    import os
    import secrets

    from guardian.core.errors import ConfigError

    keys = _file(data)
    if keys.all():
        raise ConfigError(f"{keys.path} has keys already; `guardian keys add --tenant T` makes one more.")
    _made(*keys.add(_name(tenant)))
    secret = keys.path.with_name("webhook.secret")
    if not secret.exists():
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
        typer.echo(f"A secret for signing webhooks is in {secret}.", err=True)


@app.command()
def add(tenant: Tenant, data: Data = None) -> None:
    """Make a key for a tenant."""
    _made(*_file(data).add(_name(tenant)))


@app.command("list")
def list_keys(data: Data = None) -> None:
    """Show the keys there are; never the keys themselves."""
    from rich.console import Console
    from rich.table import Table

    table = Table("key", "tenant", "created", "revoked", box=None)
    for key in _file(data).all():
        table.add_row(key.id, key.tenant, key.created_at, key.revoked_at or "-")
    Console().print(table)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id, from `keys list`.")], data: Data = None
) -> None:
    """End a key's validity at once, also on a running server."""
    ended = _file(data).revoke(key)
    typer.echo(f"{ended.id} of {ended.tenant} is revoked.")


def _file(data: Path | None) -> KeyFile:
    from guardian.settings import load
    from guardian.web.keyfile import KeyFile

    return KeyFile(data / "api_keys.json" if data is not None else load().api_keys_path)


def _name(tenant: str) -> str:
    import re

    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", tenant):
        raise typer.BadParameter(
            "a tenant is named with a-z, 0-9, _ and -, at most 32 of them", param_hint="--tenant"
        )
    return tenant


def _made(key: ApiKey, token: str) -> None:
    typer.echo(f"{key.id} for tenant {key.tenant}; this is shown once:", err=True)
    typer.echo(token)
