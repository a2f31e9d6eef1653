"""Where the files are that come with Guardian: in the checkout, or inside the installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """The root of the checkout this package runs from, or None when it is installed as a wheel."""
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "configs").is_dir() else None


def resource(*parts: str) -> Path:
    """The path of a shipped file or folder, e.g. `resource("configs", "rules")`."""
    root = checkout()
    return (root if root is not None else _PACKAGE / "data").joinpath(*parts)
