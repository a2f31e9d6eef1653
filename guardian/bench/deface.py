"""Where deface is: a face finder and an anonymiser by others, measured beside Guardian.

It brings a second cv2 and so lives in an environment of its own, which `make judge` makes.
"""

from __future__ import annotations

import os

from guardian.resources import checkout

DEFACE_PYTHON = "GUARDIAN_DEFACE_PYTHON"
"""Names the Python of another virtual environment with deface."""
HOW_TO_GET = f"run make judge, or set {DEFACE_PYTHON} to a Python that has it"
_ENVIRONMENT = ".venv-judge"


def deface_python() -> str | None:
    """The Python that has deface, as the environment names it or as `make judge` made it."""
    named = os.environ.get(DEFACE_PYTHON)
    if named:
        return named
    root = checkout()
    made = root / _ENVIRONMENT / "bin" / "python" if root is not None else None
    return str(made) if made is not None and made.is_file() else None
