"""`guardian serve`: the sidecar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def serve(
    config: Annotated[
        Path | None, typer.Option(help="Settings file; keys it lacks keep their defaults.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = None,
) -> None:
    """Serve calls until SIGTERM."""
    from guardian import server
    from guardian.settings import load

    given: dict[str, Any] = {}
    if host is not None:
        given["host"] = host
    if port is not None:
        given["port"] = port
    settings = load(config, {"server": given})

    def ready(url: str) -> None:
        # The first line of stdout is for programs that have started this one.
        typer.echo(f"guardian is listening on {url}")
        page = settings.server.demo_page and settings.server.loopback
        hint = f"{url}/docs" + (
            f", to try it {url}/demo" if page and not settings.api_keys_path.exists() else ""
        )
        typer.echo(f"guardian: listening on {url}; the API is at {hint}; Ctrl-C ends it", err=True)

    server.run(settings, ready)
