"""How soon is a case found, claimed and decided among 100,000, and a page of the console there?"""

from guardian.bench.review import SCRIPT
from guardian.bench.script import run

if __name__ == "__main__":
    run(SCRIPT)
