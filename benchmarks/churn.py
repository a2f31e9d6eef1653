"""Does anything grow when calls come and go, and does the end of one disturb another?"""

from guardian.bench.churn import SCRIPT
from guardian.bench.script import run

if __name__ == "__main__":
    run(SCRIPT)
