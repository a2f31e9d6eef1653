"""The built wheel works from any directory, without the checkout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from guardian import __version__

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    names = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")
    clean = {name: os.environ[name] for name in names if name in os.environ} | environment
    return subprocess.run(
        command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=150, check=False
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder that holds nothing but the unpacked wheel."""
    made, target = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("installed")
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made), cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = made.glob("*.whl")
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--target", str(target))
    put = run(sys.executable, "-m", "pip", "install", *options, str(wheel), cwd=made)
    assert put.returncode == 0, put.stderr
    return target


@pytest.fixture
def guardian(installed, tmp_path):
    """Runs the installed program from an empty directory; the wheel comes before any editable install."""

    def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        paths = {"PYTHONPATH": str(installed)} | environment
        return run(sys.executable, "-m", "guardian", *arguments, cwd=tmp_path, **paths)

    return command


def test_it_knows_its_version(guardian):
    done = guardian("--version")
    assert (done.returncode, done.stdout.split()) == (0, ["guardian", __version__]), done.stderr


def test_it_is_the_wheel_that_runs(installed, tmp_path):
    where = "import guardian; raise SystemExit(guardian.__file__)"
    done = run(sys.executable, "-c", where, cwd=tmp_path, PYTHONPATH=str(installed))
    assert done.stderr.strip() == str(installed / "guardian" / "__init__.py")


def test_it_carries_configs_rules_and_the_manifest(installed):
    data = installed / "guardian" / "data"
    assert (data / "models" / "manifest.toml").read_bytes() == (
        ROOT / "models" / "manifest.toml"
    ).read_bytes()
    for path in (ROOT / "configs").rglob("*"):
        if path.is_file():
            assert (data / "configs" / path.relative_to(ROOT / "configs")).is_file(), path


def test_it_carries_no_weights_and_no_licence_is_missing(installed):
    heavy = [p for p in installed.rglob("*") if p.suffix in (".onnx", ".tflite", ".zip", ".model")]
    assert heavy == []
    licences = {path.name for path in installed.rglob("licenses/*")}
    assert licences >= {"LICENSE", "THIRD_PARTY.md"}


def test_it_lists_models_with_the_weights_of_its_user(guardian, tmp_path):
    done = guardian("models", "list", "--json", XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["folder"] == str(tmp_path / "guardian" / "models")
    assert answer["mirrors"] == []
    assert {row["role"] for row in answer["roles"]} >= {"face", "person", "vad"}


def test_it_checks_its_own_rules(guardian):
    done = guardian("rules", "check")
    assert done.returncode == 0, done.stderr
