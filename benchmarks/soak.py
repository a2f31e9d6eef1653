"""Does anything grow, get lost or get late while calls come and go under loss?"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from guardian.bench.script import Wishes, work
from guardian.bench.soak import QUICK, WHOLE, script


def main(
    minutes: Annotated[float, typer.Option(help="How long calls come and go.", min=1.0)] = 30.0,
    calls: Annotated[int, typer.Option(help="Calls at once.", min=1)] = 2,
    fps: Annotated[int, typer.Option(help="Pictures a second of every camera.", min=5, max=30)] = 15,
    quick: Annotated[bool, typer.Option("--quick", help="A minute and a half; slopes say nothing.")] = False,
    json: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the figures here, as SVG.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Fail where a target is missed.")] = False,
) -> None:
    whole = replace(WHOLE, seconds=minutes * 60, calls=calls, fps=fps)
    quickly = replace(QUICK, calls=calls, fps=fps)
    work({"": script(whole, quickly)}, Wishes(quick, json, plot, check))


if __name__ == "__main__":
    typer.run(main)
