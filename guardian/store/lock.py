"""One server per data folder: two would deliver every event twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from guardian.core.errors import Unavailable


class DataLock:
    """Held until closed or the process ends. Unavailable when another server has the folder."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                f"The data folder {folder} cannot be written; choose another `data_dir`."
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise Unavailable(
                f"Another Guardian uses the data folder {folder}; end it or choose another `data_dir`."
            ) from error

    def close(self) -> None:
        """Gives the folder back."""
        os.close(self._handle)
