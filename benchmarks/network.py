"""What does a bad network cost: pictures, delay, sound, and never privacy?"""

from guardian.bench.network import SCRIPT
from guardian.bench.script import run

if __name__ == "__main__":
    run(SCRIPT)
