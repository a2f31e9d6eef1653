"""Do hunches find attempts by authors they never learned from? And what are they made of?"""

from guardian.bench.hunch.program import app

if __name__ == "__main__":
    app()
