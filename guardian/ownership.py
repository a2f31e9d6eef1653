"""Whose the files of a data folder are when root works on it for a service of another user."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def handing_over(*folders: Path) -> Iterator[None]:
    """What root makes in folders of somebody else inside is theirs after it: a service could not read it.

    Nothing where this is not root, and nothing below the folders. A file that is gone meanwhile is left out.
    """
    try:
        yield
    finally:
        for folder in folders if os.geteuid() == 0 else ():
            with suppress(OSError):
                _hand_over(folder)


def _hand_over(folder: Path) -> None:
    owner = folder.stat()
    for path in folder.iterdir() if owner.st_uid else ():
        with suppress(OSError):
            if path.lstat().st_uid == 0:
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
