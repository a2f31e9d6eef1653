"""How much processor time does each leg take, as a part of what a stock relay takes for the same?"""

from guardian.bench.cost import SCRIPT
from guardian.bench.script import run

if __name__ == "__main__":
    run(SCRIPT)
