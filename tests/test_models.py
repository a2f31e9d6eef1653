"""Weights: what is used, what is refused, and what is said about it."""

import hashlib
import json
import sys
import zipfile
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

from guardian import fetch
from guardian.cli import app
from guardian.core.errors import ConfigError, ModelMissing
from guardian.fetch import Puller, sweep
from guardian.manifest import Manifest, Model, RoleSpec, WeightFile, Wheel, load_manifest
from guardian.models import ModelStore, mirror_folders, weights_folder
from guardian.resources import resource

GOOD, SPARE = b"first choice" * 40, b"fallback" * 40


def weight(name: str, content: bytes, **source: str) -> WeightFile:
    digest = hashlib.sha256(content).hexdigest()
    where = {"url": None, "wheel": None, "member": None} | source
    return WeightFile("model", name, digest, len(content), **where)


def small_manifest() -> Manifest:
    first = Model(
        "first",
        "First",
        "first",
        "MIT",
        (weight("a.onnx", GOOD, url="https://gone.invalid/a.onnx"),),
        "it sees more",
        None,
    )
    spare_file = weight("b.tflite", SPARE, wheel="box", member="box/b.tflite")
    spare = Model("spare", "Spare", "spare", "MIT", (spare_file,), "", None)
    return Manifest((RoleSpec("face", "Faces", True, False, "", (first, spare)),), ())


def with_wheel(wheel: Path) -> Manifest:
    content = wheel.read_bytes()
    box = Wheel("box", "box==1.0", "any", hashlib.sha256(content).hexdigest(), len(content))
    return Manifest(small_manifest().roles, (box,))


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def make_wheel(folder: Path, content: bytes = SPARE) -> Path:
    path = folder / "box-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("box/b.tflite", content)
    return path


def quiet() -> Progress:
    return Progress(console=Console(file=StringIO()))


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """A machine without weights and without any mirror."""
    monkeypatch.setenv("GUARDIAN_MODELS", str(tmp_path / "weights"))
    monkeypatch.setenv("GUARDIAN_MODEL_MIRROR", "none")
    return tmp_path / "weights"


def test_the_first_choice_is_used_when_it_is_whole(tmp_path):
    put(tmp_path, "first/a.onnx", GOOD)
    put(tmp_path, "spare/b.tflite", SPARE)
    found = ModelStore(small_manifest(), tmp_path).find("face")
    assert found.model_id == "first"
    assert found.preferred
    assert found.files == {"model": tmp_path / "first/a.onnx"}


def test_a_fallback_says_what_would_be_better_and_what_brings_it(tmp_path):
    put(tmp_path, "spare/b.tflite", SPARE)
    found = ModelStore(small_manifest(), tmp_path).find("face")
    assert (found.model_id, found.preferred) == ("spare", False)
    for said in ("Spare is used", "First would be better", "it sees more", "guardian models pull face"):
        assert said in found.note


@pytest.mark.parametrize("content", [GOOD[:-1], GOOD[:-1] + b"!", b"", GOOD + b"more"])
def test_a_damaged_file_is_never_used(tmp_path, content):
    put(tmp_path, "first/a.onnx", content)
    put(tmp_path, "spare/b.tflite", SPARE)
    found = ModelStore(small_manifest(), tmp_path).find("face")
    assert found.model_id == "spare"
    assert "damaged" in found.note


def test_a_mirror_stands_in_for_a_damaged_file(tmp_path):
    put(tmp_path / "own", "first/a.onnx", b"damaged")
    whole = put(tmp_path / "mirror", "first/a.onnx", GOOD)
    store = ModelStore(small_manifest(), tmp_path / "own", (tmp_path / "mirror",))
    assert store.find("face").files["model"] == whole


def test_nothing_at_all_names_the_command_that_helps(tmp_path):
    with pytest.raises(ModelMissing, match=r"Faces.*guardian models pull face"):
        ModelStore(small_manifest(), tmp_path).find("face")


def test_damaged_weights_are_not_called_missing(tmp_path):
    put(tmp_path, "first/a.onnx", b"damaged")
    with pytest.raises(ModelMissing, match="the weights here are damaged"):
        ModelStore(small_manifest(), tmp_path).find("face")


def test_an_unknown_role_is_told_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match="face"):
        ModelStore(small_manifest(), tmp_path).find("nose")


def test_pull_takes_a_mirror_s_copy_into_the_weights_folder(tmp_path):
    put(tmp_path / "mirror", "first/a.onnx", GOOD)
    manifest = small_manifest()
    store = ModelStore(manifest, tmp_path / "own", (tmp_path / "mirror",))
    Puller(store, quiet()).bring(manifest.roles[0].models[0])
    assert (tmp_path / "own/first/a.onnx").read_bytes() == GOOD
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["first"]


def test_an_unreachable_address_is_given_up_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_resolves", lambda host: False)
    manifest = small_manifest()
    puller = Puller(ModelStore(manifest, tmp_path), quiet())
    puller.bring(manifest.roles[0].models[0])
    assert puller.problems == ["First: gone.invalid cannot be found"]
    assert list(tmp_path.iterdir()) == []


def test_a_member_of_a_wheel_is_unpacked_and_the_wheel_not_kept(tmp_path, monkeypatch):
    wheel = make_wheel(tmp_path)
    monkeypatch.setattr(fetch, "_pip_download", lambda pinned, folder: wheel)
    store = ModelStore(with_wheel(wheel), tmp_path / "own")
    puller = Puller(store, quiet())
    puller.bring(store.manifest.roles[0].models[1])
    assert puller.problems == []
    assert store.find("face").model_id == "spare"
    assert [path.name for path in (tmp_path / "own").rglob("*") if path.is_file()] == ["b.tflite"]


def test_another_wheel_than_the_pinned_one_is_refused(tmp_path, monkeypatch):
    manifest = with_wheel(make_wheel(tmp_path))
    other = make_wheel(tmp_path, b"not these weights")
    monkeypatch.setattr(fetch, "_pip_download", lambda pinned, folder: other)
    puller = Puller(ModelStore(manifest, tmp_path / "own"), quiet())
    puller.bring(manifest.roles[0].models[1])
    assert "another sha256" in puller.problems[0]
    assert list((tmp_path / "own").iterdir()) == []


def test_what_a_killed_pull_left_is_swept_away_but_not_a_running_one(tmp_path, monkeypatch):
    put(tmp_path, ".partial-running/a.onnx", b"half")
    sweep(tmp_path)
    assert (tmp_path / ".partial-running").exists()
    monkeypatch.setattr(fetch, "STALE_S", -1.0)
    sweep(tmp_path)
    assert not (tmp_path / ".partial-running").exists()


def test_the_shipped_manifest_describes_every_file_and_source():
    manifest = load_manifest(resource("models", "manifest.toml"))
    assert {role.name for role in manifest.roles if role.required} >= {"face", "person", "vad"}
    for role in manifest.roles:
        for model in role.models:
            assert model.licence, model.id
            assert model.package or model.files, model.id
            for file in model.files:
                assert len(bytes.fromhex(file.sha256)) == 32
                assert file.bytes > 0
                assert file.url is None or file.url.startswith("https://")
                if file.wheel is not None:
                    assert "==" in manifest.wheel(file.wheel).requirement
                    assert file.member


def test_every_required_role_can_be_had_from_the_package_index_alone():
    manifest = load_manifest(resource("models", "manifest.toml"))
    for role in manifest.roles:
        if role.required:
            assert any(model.from_index for model in role.models), role.name


def test_a_broken_manifest_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="manifest"):
        load_manifest(put(tmp_path, "manifest.toml", b"schema = 1\n[[model]]\nid = 3\n"))


def test_folders_follow_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GUARDIAN_MODELS", str(tmp_path / "w"))
    monkeypatch.setenv("GUARDIAN_MODEL_MIRROR", str(tmp_path))
    assert weights_folder() == tmp_path / "w"
    assert mirror_folders()[0] == tmp_path
    monkeypatch.setenv("GUARDIAN_MODEL_MIRROR", "none")
    assert mirror_folders() == ()
    monkeypatch.setenv("GUARDIAN_MODEL_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="not a folder"):
        mirror_folders()


def test_list_tells_role_by_role_on_an_empty_machine(no_weights):
    done = CliRunner().invoke(app, ["models", "list", "--json"])
    assert done.exit_code == 0
    rows = {row["role"]: row for row in json.loads(done.stdout)["roles"]}
    assert rows["face"]["state"] == "missing"
    assert "guardian models pull face" in rows["face"]["note"]
    assert rows["english-embedded"]["model"] == "pocketsphinx"


def test_verify_is_content_with_missing_files_and_not_with_damaged_ones(no_weights):
    runner = CliRunner()
    assert runner.invoke(app, ["models", "verify"]).exit_code == 0
    put(no_weights, "yunet/yunet_n_dynamic.onnx", b"damaged")
    done = runner.invoke(app, ["models", "verify", "--json"])
    assert isinstance(done.exception, ModelMissing)
    states = {row["file"]: row["state"] for row in json.loads(done.stdout)["files"]}
    assert states["yunet_n_dynamic.onnx"] == "damaged"
    assert states["silero_vad_16k_op15.onnx"] == "missing"


def test_pull_without_any_source_fails_with_the_roles_it_lacks(no_weights, monkeypatch):
    monkeypatch.setattr(fetch, "_resolves", lambda host: False)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    done = CliRunner().invoke(app, ["models", "pull"])
    assert isinstance(done.exception, ModelMissing)
    for role in ("face", "person", "hands", "vad"):
        assert role in str(done.exception)
    assert "syllables-zh" not in str(done.exception)
