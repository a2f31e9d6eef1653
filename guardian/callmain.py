"""How a call process begins: at once, or standing back while it is only a spare.

Started by the supervisor as `python -m guardian.callmain [--spare] --link FD`. A thread that stands back
can never be hurried again by an ordinary user, so what a spare has to import is imported in one that ends.
"""

from __future__ import annotations

import sys
import threading

IDLE_NICENESS = 19


def _import_slowly() -> None:
    from guardian.call.lane import session_stands_back, stand_back

    session_stands_back(IDLE_NICENESS)
    # Its threads stay, and would stand back for ever had they been begun in the other thread.
    import numpy  # noqa: F401  # for its threads only

    def load() -> None:
        stand_back(IDLE_NICENESS)
        import guardian.callproc  # noqa: F401  # so that it is there when asked for

    loading = threading.Thread(target=load, name="imports")
    loading.start()
    loading.join()


if __name__ == "__main__":
    if "--spare" in sys.argv:
        _import_slowly()
    from guardian.callproc import main

    main()
