"""What the documents say is so: commands exist and parse, tables are complete, links lead somewhere."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from guardian.cli import app
from guardian.settings import load

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "models" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
CHEAP = ("models list", "--version")
NAME = re.compile(r"[-_.]+")


def commands(group: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every command by the words that call it."""
    inner = getattr(group, "commands", None)
    if inner is None:
        return {" ".join(path): group}
    found: dict[str, Any] = {}
    for name, command in inner.items():
        found |= commands(command, (*path, name))
    return found


COMMANDS = commands(typer.main.get_command(app))


def shell_lines(text: str) -> list[str]:
    """Commands in fenced `sh` blocks, with continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [
        line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()
    ]


README_LINES = shell_lines((ROOT / "README.md").read_text(encoding="utf-8"))


def guardian_words(line: str) -> list[str] | None:
    """The words after `guardian` in a shell line, or None when it does not call it."""
    for piece in line.split("|"):
        try:
            words = shlex.split(piece)
        except ValueError:
            return None  # a quotation that goes over several lines
        if words and Path(words[0]).name == "guardian":
            return words[1:]
    return None


GUARDIAN_LINES = [line for line in README_LINES if guardian_words(line)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str):
    assert COMMANDS[name].help, f"guardian {name} does not say what it does"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_documents(name: str):
    text = " ".join(" ".join(path.read_text(encoding="utf-8").split()) for path in DOCUMENTS)
    parts = name.split()
    listed = rf"guardian {parts[0]} [a-z|\\]*{parts[-1]}" if len(parts) > 1 else f"guardian {name}"
    assert re.search(rf"{listed}\b", text), f"guardian {name} is in no document"


@pytest.mark.parametrize("line", GUARDIAN_LINES)
def test_commands_of_the_readme_parse(line: str):
    words = guardian_words(line)
    assert words is not None
    name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS), None)
    assert name, f"`{line}` names no command; there are {', '.join(COMMANDS)}"
    command = COMMANDS[name]
    with command.make_context(name, words[len(name.split()) :], resilient_parsing=False):
        pass


@pytest.mark.parametrize("line", [line for line in GUARDIAN_LINES if any(cheap in line for cheap in CHEAP)])
def test_cheap_commands_of_the_readme_run(line: str):
    assert CliRunner().invoke(app, guardian_words(line)).exit_code == 0


def test_make_targets_of_the_documents_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        for line in shell_lines(document.read_text(encoding="utf-8")):
            if line.startswith("make "):
                assert line.split()[1] in targets, f"{document.name}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path):
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


FLEET = (
    (ROOT / "docs" / "operate.md")
    .read_text(encoding="utf-8")
    .partition("\n## A fleet\n")[2]
    .partition("\n## ")[0]
)
ASSIGNED = re.compile(r"^(?:[A-Z_]+=\S+ )+")


def simple(line: str) -> str:
    """A command without variables before it and redirections after it."""
    return re.split(r" (?:\d?>|&)", ASSIGNED.sub("", line.partition("#")[0]))[0].strip()


FLEET_LINES = [simple(line) for line in shell_lines(FLEET) if guardian_words(simple(line))]


@pytest.mark.parametrize("line", FLEET_LINES)
def test_commands_for_a_fleet_parse(line: str):
    test_commands_of_the_readme_parse(line)


def test_commands_for_a_fleet_are_there():
    names = [line.split()[1] for line in FLEET_LINES]
    assert sorted(names) == ["demo", "doctor", "keys", "serve", "serve"]


def test_settings_for_a_fleet_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (text,) = re.findall(r"^```toml\n(.*?)^```", FLEET, re.MULTILINE | re.DOTALL)
    (tmp_path / "fleet.toml").write_text(text, encoding="utf-8")
    for name in ("store.password", "nats.password"):
        (tmp_path / name).write_text("secret\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    folders = set()
    for node in ("a", "b"):
        monkeypatch.setenv("GUARDIAN_DATA_DIR", node)
        monkeypatch.setenv("GUARDIAN_FLEET__NODE", node)
        settings = load(tmp_path / "fleet.toml")
        assert settings.fleet.node_name == node
        assert settings.fleet.target().password == "secret"
        folders.add(settings.evidence_path.resolve())
    assert folders == {tmp_path / "clips"}, "clips lie where every node finds them"


def constrained() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin) for pin in pins), (
        "names and versions only"
    )
    return {NAME.sub("-", pin.split("==")[0]).lower() for pin in pins}


def test_every_package_stands_in_the_table_of_licences():
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    table = text.split("## Packages")[1]
    listed = {NAME.sub("-", name).lower() for name in re.findall(r"^\| ([\w.-]+) \| \S", table, re.MULTILINE)}
    assert listed - {"package", "-"} == constrained()


def test_every_weight_stands_in_the_table_of_licences():
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    manifest = tomllib.loads((ROOT / "models" / "manifest.toml").read_text(encoding="utf-8"))
    for model in manifest["model"]:
        assert re.search(
            rf"^\| {model['id']} \|[^|]*\| {re.escape(model['licence'])} \|", text, re.MULTILINE
        ), model["id"]


def test_every_declared_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [
        *project["dependencies"],
        *(d for group in project["optional-dependencies"].values() for d in group),
    ]
    names = {NAME.sub("-", re.split(r"[^\w.-]", entry)[0]).lower() for entry in declared}
    assert names <= constrained()
