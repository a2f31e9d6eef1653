"""`guardian demo`: the whole job on a sample call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Without a browser; ends by itself.")] = False,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long the call lasts at least.")] = 20,
    out: Annotated[Path, typer.Option(help="Folder for what comes of it.")] = Path("demo-out"),
    video: Annotated[Path | None, typer.Option(help="The shopper's camera: a video file.")] = None,
    audio: Annotated[Path | None, typer.Option(help="The merchant's voice: a sound file.")] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(
            help="Call through a server that runs; once for each node of a fleet. Prints pictures lost."
        ),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="With --url: the file that holds the API key.")
    ] = None,
) -> None:
    """Show Guardian's whole job on a sample call with two real WebRTC peers."""
    from guardian.demo import show

    if url:
        show.visit(show.Guest(tuple(url), key_file, seconds, video))
        return
    show.show(show.Wish(headless, seconds, out, video, audio))
