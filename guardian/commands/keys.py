"""`guardian keys`: who may create calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guardian.web.keyfile import ApiKey, KeyFile

app = typer.Typer(
    help="API keys: made, listed and revoked here; shown once, stored as hashes. Keys for evidence and TURN.",
    no_args_is_help=True,
)

Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the server; the configured one if not given.")
]
Tenant = Annotated[str, typer.Option("--tenant", help="The platform this key belongs to.")]


@app.command()
def init(data: Data = None, tenant: Tenant = "default") -> None:
    """Make the key file with a first key, a secret for signing webhooks, and a key for evidence."""
    import base64
    import secrets

    from guardian.core.errors import ConfigError
    from guardian.evidence.keyfile import EvidenceKeyFile
    from guardian.ownership import handing_over
    from guardian.settings import load

    keys = _file(data)
    # Where the server looks for it, wherever the other keys are.
    evidence = EvidenceKeyFile(data / "evidence.key" if data is not None else load().evidence_key_path)
    if keys.all() and evidence.ring() is not None:
        raise ConfigError(f"{keys.path} has keys already; `guardian keys add --tenant T` makes one more.")
    with handing_over(keys.path.parent, evidence.path.parent):
        if not keys.all():
            _made(*keys.add(_name(tenant)))
        secret = keys.path.with_name("webhook.secret")
        if not secret.exists():
            _keep(secret, f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")
            typer.echo(f"A secret for signing webhooks is in {secret}.", err=True)
        if evidence.ring() is None:
            evidence.create()
            told = f"A key for evidence is in {evidence.path}; without it no clip can be opened."
            typer.echo(told, err=True)


@app.command()
def turn(data: Data = None) -> None:
    """Make a secret to share with a TURN server, in a file only the owner may read."""
    import secrets

    from guardian.core.errors import ConfigError
    from guardian.ownership import handing_over

    path = _file(data).path.with_name("turn.secret")
    if path.exists():
        raise ConfigError(f"{path} exists already; move it away first, and tell the TURN server.")
    with handing_over(path.parent):
        # Letters and figures only: it also stands in the TURN server's own settings.
        _keep(path, secrets.token_hex(32))
    typer.echo(f"A secret for TURN is in {path}; coturn takes it as static-auth-secret.", err=True)


@app.command()
def add(tenant: Tenant, data: Data = None) -> None:
    """Make a key for a tenant."""
    from guardian.ownership import handing_over

    keys = _file(data)
    with handing_over(keys.path.parent):
        _made(*keys.add(_name(tenant)))


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
    from guardian.ownership import handing_over

    keys = _file(data)
    with handing_over(keys.path.parent):
        ended = keys.revoke(key)
    typer.echo(f"{ended.id} of {ended.tenant} is revoked.")


@app.command()
def rotate(
    data: Data = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file of the server.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Make no new key; go on sealing to the current one.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Make a new key for evidence and seal every clip to it; the clips themselves are not touched.

    It may run beside the server and may be interrupted.
    """
    from dataclasses import asdict
    from json import dumps

    from rich.console import Console
    from rich.progress import Progress

    from guardian.evidence_offline import changing_keys, clips_in, make_key, seal_all
    from guardian.ownership import handing_over
    from guardian.people_offline import shell_user
    from guardian.settings import load

    settings = load(config, {} if data is None else {"data_dir": str(data)})
    clips_in(settings)  # Before a key is made: there has to be a store.
    folder = settings.evidence_key_path.parent
    with (
        handing_over(folder),
        changing_keys(settings),
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        if not resume:
            make_key(settings)
        task = progress.add_task("files", total=None)
        done = seal_all(settings, shell_user(), lambda count: progress.advance(task, count))
    if json:
        typer.echo(dumps(asdict(done)))
        return
    typer.echo(f"{done.files} files were sealed to {done.key_id}.")
    for name in done.closed:
        typer.echo(f"The key of {name} cannot be opened; see `guardian audit verify`.", err=True)
    if done.old_keys:
        typer.echo(f"Kept until the server starts again: {', '.join(done.old_keys)}.", err=True)


def _file(data: Path | None) -> KeyFile:
    from guardian.settings import load
    from guardian.web.keyfile import KeyFile

    return KeyFile(data / "api_keys.json" if data is not None else load().api_keys_path)


def _keep(path: Path, secret: str) -> None:
    import os

    from guardian.core.errors import Unavailable

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secret}\n")
    except OSError as error:
        raise Unavailable(f"{path} cannot be written; check its folder.") from error


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
