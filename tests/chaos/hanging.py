"""`raising.py` whose folder of evidence hangs, as a mount does whose server is gone."""

import os
from pathlib import Path

from guardian.evidence.folder import Folder
from tests.chaos import raising


def hang(folder, _before):
    """Opens what nobody ever writes to: no deadline and no signal ends that."""
    pipe = Path(folder.path).parent / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    os.open(pipe, os.O_RDONLY)


if __name__ == "__main__":
    Folder.sweep = hang
    raising.main()
