"""How much does a call through Guardian cost? The same as `guardian bench call`."""

import sys

from guardian.cli import app

if __name__ == "__main__":
    app(["bench", "call", *sys.argv[1:]])
