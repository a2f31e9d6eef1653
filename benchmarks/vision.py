"""How fast is the protection chain? The same as `guardian bench vision`."""

from guardian.cli import app

if __name__ == "__main__":
    app(["bench", "vision"])
