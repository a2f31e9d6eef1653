"""Is what must be hidden hidden? Asked of another detector, of labels, of attacks and of known rooms."""

from importlib import import_module
from importlib.util import find_spec

from guardian.bench.script import app_of

TABLES = ("exposure", "recall", "reid", "background", "prints")

if __name__ == "__main__":
    modules = {name: f"guardian.bench.privacy.{name}" for name in TABLES}
    found = {name: import_module(module).SCRIPT for name, module in modules.items() if find_spec(module)}
    app_of(found, __doc__ or "")()
