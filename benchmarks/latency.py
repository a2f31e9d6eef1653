"""How much later do pictures come through Guardian than through a stock relay that does nothing?"""

from guardian.bench.latency import SCRIPT
from guardian.bench.script import run

if __name__ == "__main__":
    run(SCRIPT)
