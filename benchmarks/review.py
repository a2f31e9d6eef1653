"""How soon is a case found, claimed and decided among 100,000?"""

from guardian.bench.review import SCRIPT
from guardian.bench.script import run

if __name__ == "__main__":
    run(SCRIPT)
