"""Files that come with Guardian: in a checkout beside the package, in a wheel inside it."""

from __future__ import annotations

from pathlib import Path

from guardian.core.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """The root of the checkout this package runs from, or None when it is installed as a wheel."""
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "configs").is_dir() else None


def resource(*parts: str) -> Path:
    """The path of a file or folder such as `resource("configs", "rules")`. ConfigError when absent."""
    path = (checkout() or _PACKAGE / "data").joinpath(*parts)
    if path.exists():
        return path
    name = "/".join(parts)
    raise ConfigError(f"{name} is missing from this installation; install guardian-sidecar again.")


def rules_folder(rules_dir: str) -> Path:
    """The folder of the rules in use: the one configured, or where that is empty the shipped one."""
    return Path(rules_dir).expanduser() if rules_dir else resource("configs", "rules")
