"""What does a call do when others take the CPU?"""

from guardian.bench.script import run
from guardian.bench.starve import SCRIPT

if __name__ == "__main__":
    run(SCRIPT)
