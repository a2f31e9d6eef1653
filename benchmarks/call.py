"""How much does a call through Guardian cost? The same as `guardian bench call`."""

from guardian.cli import app

if __name__ == "__main__":
    app(["bench", "call"])
