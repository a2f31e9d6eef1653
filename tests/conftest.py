"""What tests may ask of the machine: tools, shared media, preferred weights.

A test that lacks something skips and says what is missing. Names in GUARDIAN_REQUIRE (separated by
spaces) must be there: lacking one of them is a failure, not a skip.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from guardian.core.errors import ModelMissing
from guardian.models import Found, ModelStore, how_to_get
from guardian.store.database import Database, StoreConfig
from guardian.store.upgrade import open_store
from tests import servers

ROOT = Path(__file__).resolve().parents[1]
TOOLS = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "coturn": ("turnserver",)}
PACKAGES = ("playwright", "psycopg", "skimage", "vosk")
POSTGRESQL = ("/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb")
"""Where distributions keep what only the server's own user calls."""
AXE = Path(os.environ.get("GUARDIAN_AXE") or ROOT / "node_modules" / "axe-core" / "axe.min.js")
"""What looks for pages that keep people out: `npm install axe-core`."""


def lacking(name: str, reason: str) -> NoReturn:
    """Ends the test: skipped, or failed where `name` was promised."""
    if name in os.environ.get("GUARDIAN_REQUIRE", "").split():
        pytest.fail(f"{name} is required here: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def need() -> Callable[[str], str]:
    """need("chromium") -> the path of the program, or the name of a package of Python; skips without it."""

    def find(tool: str) -> str:
        if tool in PACKAGES and find_spec(tool) is not None:
            return tool
        for program in TOOLS.get(tool, (tool,)):
            path = shutil.which(program)
            if path:
                return path
        if tool == "axe" and AXE.is_file():
            return str(AXE)
        if tool == "postgresql":
            found = [path for pattern in POSTGRESQL for path in sorted(glob(pattern))]
            initdb = found[-1] if found else shutil.which("initdb")
            if initdb:
                return initdb
        lacking(tool, f"{tool} is not installed")

    return find


@pytest.fixture(scope="session")
def postgres(need) -> Iterator[servers.Postgres]:
    """A throw-away cluster of PostgreSQL on a free port."""
    need("psycopg")
    with servers.postgres(Path(need("postgresql")).resolve().parent) as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def store_config(request: pytest.FixtureRequest, tmp_path: Path) -> StoreConfig:
    """An empty store, once on each engine."""
    if request.param == "sqlite":
        return StoreConfig(tmp_path / "guardian.db")
    return StoreConfig(tmp_path / "guardian.db", request.getfixturevalue("postgres").database())


@pytest.fixture(scope="session")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of SQLite that has its tables, to be copied: making them takes long."""
    file = tmp_path_factory.mktemp("store") / "guardian.db"
    open_store(StoreConfig(file)).close()
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An open store with its tables, once on each engine."""
    file = tmp_path / "guardian.db"
    url = request.getfixturevalue("postgres").made_store() if request.param == "postgresql" else ""
    if not url:
        shutil.copy(request.getfixturevalue("made_store"), file)
    opened = open_store(StoreConfig(file, url))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """The folder of shared media (GUARDIAN_SHARED/media, or ../shared/media beside the checkout)."""
    folder = Path(os.environ.get("GUARDIAN_SHARED") or ROOT.parent / "shared") / "media"
    if not folder.is_dir():
        lacking("shared-media", "the shared media folder is not here (GUARDIAN_SHARED)")
    return folder


@pytest.fixture(scope="session")
def weights() -> Callable[..., Found]:
    """weights("face") or weights("face", "yunet") -> verified files; skips when they are not here."""

    def find(role: str, model_id: str | None = None) -> Found:
        store = ModelStore.default()
        if model_id is None:
            try:
                return store.find(role)
            except ModelMissing as error:
                lacking("weights", str(error))
        spec = store.manifest.role(role)
        model = next(model for model in spec.models if model.id == model_id)
        files = store.files_of(model)
        if files is None:
            lacking("preferred-weights", f"{model.title} is not here: {how_to_get(spec, model)}")
        return Found(role, model.id, files, model is spec.models[0], "")

    return find
