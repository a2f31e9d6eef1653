"""What does matching cost as phrases are added? The same as `guardian bench rules`."""

import sys

from guardian.cli import app

if __name__ == "__main__":
    app(["bench", "rules", *sys.argv[1:]])
