"""What does keeping evidence of a call cost, and what does a clip?"""

from guardian.bench.evidence import SCRIPT
from guardian.bench.script import run

if __name__ == "__main__":
    run(SCRIPT)
