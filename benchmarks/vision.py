"""How fast is the protection chain? The same as `guardian bench vision`."""

import sys

from guardian.cli import app

if __name__ == "__main__":
    app(["bench", "vision", *sys.argv[1:]])
