"""The `guardian` command: puts the commands together and turns errors into one sentence.

Exit codes: 0 the work was done, 1 it failed, 2 wrong usage.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from guardian import __version__
from guardian.commands.audit import app as audit_app
from guardian.commands.bench import app as bench_app
from guardian.commands.demo import demo
from guardian.commands.doctor import doctor
from guardian.commands.events import app as events_app
from guardian.commands.keys import app as keys_app
from guardian.commands.listen import listen
from guardian.commands.migrate import migrate
from guardian.commands.models import app as models_app
from guardian.commands.protect import protect
from guardian.commands.rules import app as rules_app
from guardian.commands.serve import serve
from guardian.commands.users import app as users_app
from guardian.commands.watch import watch
from guardian.core.errors import GuardianError

app = typer.Typer(
    name="guardian",
    help="Protects and moderates video calls between merchants and shoppers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"guardian {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Protects and moderates video calls between merchants and shoppers."""


app.add_typer(audit_app, name="audit")
app.add_typer(bench_app, name="bench")
app.command()(demo)
app.command()(doctor)
app.add_typer(events_app, name="events")
app.add_typer(keys_app, name="keys")
app.command()(listen)
app.command()(migrate)
app.add_typer(models_app, name="models")
app.command()(protect)
app.add_typer(rules_app, name="rules")
app.command()(serve)
app.add_typer(users_app, name="users")
app.command()(watch)


def main() -> None:
    """Runs the command line; never shows a traceback for an error that has a sentence."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # One that is ignored (nohup) stays ignored.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _leave)
    try:
        app()
    except GuardianError as error:
        _say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except ImportError as error:
        # A native module that is interrupted while it loads says so only in the cause.
        if isinstance(error.__cause__, KeyboardInterrupt):
            sys.exit(130)
        raise
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _say(f"The system refused something{where}: {(error.strerror or str(error)).lower()}.")
        sys.exit(1)


def _leave(number: int, _frame: FrameType | None) -> None:
    """Ends the program in good order, so that no half file and no process of its own stays behind."""
    sys.exit(128 + number)


def _say(sentence: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"guardian: {sentence}", markup=False)


if __name__ == "__main__":
    main()
