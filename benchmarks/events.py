"""How soon is an event safe, and how many reach their endpoints?"""

from guardian.bench.events import SCRIPT
from guardian.bench.script import run

if __name__ == "__main__":
    run(SCRIPT)
