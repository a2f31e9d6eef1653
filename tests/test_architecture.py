"""The rings and laws of the code, read from its syntax trees. Each rule is shown an offence too."""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "guardian"
ROOT_PACKAGES = {"commands", "demo", "bench"}
MAX_LINES = 400
SAFE_FRAME_MAKER = "guardian.vision.cover"
FILE_WRITER = "guardian.vision.film"
OUTSIDE_CALLS = ("guardian.demo", "guardian.bench", "guardian.commands")
PICTURE_BUILDERS = {"guardian.rtc.convert", FILE_WRITER}
CALL_ROOTS = {
    f"guardian.{name}"
    for name in ("callmain", "callproc", "eyes", "ears", "keeper", "lookout", "senses", "server")
}
VIDEO_RELAYING = "guardian.call.seats"
PEER_MAKER = "guardian.callproc"
EVIDENCE_WRITERS = {"guardian.evidence.folder", "guardian.evidence.keyfile"}
OPENING = {"open", "os.open", "os.fdopen", "io.open", "av.open"}
KEPT_MAKERS = {"SentPicture": "guardian.rtc.tracks", "KeptPiece": "guardian.call.keeping"}
BARE_TASKS = {"create_task", "ensure_future", "gather"}

Rule = Callable[[str, ast.Module], Iterator[str]]


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def ring(module: str) -> str:
    """`core`, the name of a part, or `root`."""
    names = module.split(".")
    if len(names) == 1:
        return "root"
    if names[1] == "core":
        return "core"
    is_part = (PACKAGE / names[1]).is_dir() and names[1] not in ROOT_PACKAGES
    return names[1] if is_part else "root"


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of everything a module imports, those for type checking and in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            if node.module != "guardian":
                yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)  # may be a module too


def inward_imports(module: str, tree: ast.Module) -> Iterator[str]:
    """core imports the standard library and numpy; a part imports core and its vendors."""
    here = ring(module)
    for name in imports(tree):
        top = name.split(".")[0]
        if top == "guardian":
            there = ring(name)
            if here == "core" and there != "core":
                yield f"{module} is in core and imports {name}"
            elif (
                here not in ("core", "root")
                and there not in (here, "core")
                and name != "guardian.__version__"
            ):
                yield f"{module} belongs to {here} and imports {name}"
        elif here == "core" and top not in sys.stdlib_module_names and top != "numpy":
            yield f"{module} is in core and imports {name}"


def called_name(node: ast.Call) -> str:
    """The last name of what is called: `a.b.c()` -> `c`."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def renamed(tree: ast.Module, name: str) -> Iterator[int]:
    """Lines on which a name is given another one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            aliases = [alias.asname for alias in node.names if alias.name == name]
            yield from (node.lineno for alias in aliases if alias not in (None, name))
        elif isinstance(node, ast.Assign) and ast.unparse(node.value).split(".")[-1] == name:
            yield node.lineno


def one_maker_of_safe_frames(module: str, tree: ast.Module) -> Iterator[str]:
    """SafeFrame is built, or copied with changes, or taken under another name, in one module only."""
    if module == SAFE_FRAME_MAKER:
        return
    for call in calls(tree):
        if called_name(call) == "SafeFrame":
            yield f"{module}:{call.lineno} builds a SafeFrame"
        mentions = any(isinstance(arg, ast.Name) and arg.id == "SafeFrame" for arg in call.args)
        if mentions and called_name(call) not in ("isinstance", "issubclass", "cast"):
            yield f"{module}:{call.lineno} passes the class SafeFrame on"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "SafeFrame" and alias.asname not in (None, "SafeFrame"):
                    yield f"{module}:{node.lineno} takes SafeFrame under another name"
        elif (
            isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == "SafeFrame"
        ):
            yield f"{module}:{node.lineno} gives SafeFrame another name"


def in_a_call(module: str) -> bool:
    """Parts and the roots of the running service; not commands, the demo and benchmarks."""
    return ring(module) != "root" or module in CALL_ROOTS


def pictures_leave_through_one_door(module: str, tree: ast.Module) -> Iterator[str]:
    """Codec pictures for sending are built in rtc.convert.

    Commands, the demo and benchmarks build pictures of their own: files and sample peers.
    """
    if not in_a_call(module) or module in PICTURE_BUILDERS:
        return
    for call in calls(tree):
        if "VideoFrame" in ast.unparse(call.func).split("."):
            yield f"{module}:{call.lineno} builds a VideoFrame"
    yield from (
        f"{module}:{line} takes VideoFrame under another name" for line in renamed(tree, "VideoFrame")
    )


def no_call_writes_files(module: str, tree: ast.Module) -> Iterator[str]:
    """The writer of video files, the demo and the benchmarks are out of reach of a call."""
    if not in_a_call(module) or module == FILE_WRITER:
        return
    for name in imports(tree):
        if name == FILE_WRITER or name.startswith(OUTSIDE_CALLS):
            yield f"{module} imports {name}"


def tasks_have_parents(module: str, tree: ast.Module) -> Iterator[str]:
    """Tasks are born in a TaskGroup: `group.create_task` on a name bound by `async with TaskGroup()`."""
    groups = set(task_groups(tree))
    for call in calls(tree):
        name = called_name(call)
        if name not in BARE_TASKS:
            continue
        owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        if name != "create_task" or owner not in groups:
            yield f"{module}:{call.lineno} calls {owner + '.' if owner else ''}{name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("asyncio"):
            for alias in node.names:
                if alias.name in BARE_TASKS:
                    yield f"{module}:{node.lineno} imports asyncio.{alias.name}"


def task_groups(tree: ast.Module) -> Iterator[str]:
    """Names that hold a TaskGroup: bound by `async with`, or annotated as one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith):
            for item in node.items:
                if "TaskGroup" in ast.unparse(item.context_expr) and item.optional_vars is not None:
                    yield ast.unparse(item.optional_vars)
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            if "TaskGroup" in ast.unparse(node.annotation):
                name = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
                yield name
                yield f"self.{name}"  # a field of a dataclass
        elif isinstance(node, ast.Assign) and "TaskGroup" in ast.unparse(node.value):
            yield from (ast.unparse(target) for target in node.targets)


def only_a_merchants_video_is_relayed(module: str, tree: ast.Module) -> Iterator[str]:
    """Video leaves a leg encoded, past protection, in one place; which legs can is said where they are made.

    What kind is passed on is written out, so that it can be read here.
    """
    if not in_a_call(module):
        return
    for call in calls(tree):
        if called_name(call) == "pass_on" and len(call.args) == 2:
            kind = ast.unparse(call.args[0])
            if kind != "'audio'" and (kind, module) != ("'video'", VIDEO_RELAYING):
                yield f"{module}:{call.lineno} has {kind} passed on"
        if called_name(call) == "Peer" and module != PEER_MAKER:
            yield f"{module}:{call.lineno} makes a Peer"
    yield from (f"{module}:{line} takes Peer under another name" for line in renamed(tree, "Peer"))


def evidence_is_what_was_sent(module: str, tree: ast.Module) -> Iterator[str]:
    """What is kept of the shopper's picture comes from where protected ones are sent, nowhere else."""
    for call in calls(tree):
        maker = KEPT_MAKERS.get(called_name(call), module)
        if module != maker and in_a_call(module):
            yield f"{module}:{call.lineno} makes a {called_name(call)}"
    for name in KEPT_MAKERS:
        yield from (f"{module}:{line} takes {name} under another name" for line in renamed(tree, name))


def clips_touch_no_disk_in_plain(module: str, tree: ast.Module) -> Iterator[str]:
    """Of evidence only the folder, which is given sealed bytes, and the key's file write files."""
    if ring(module) != "evidence" or module in EVIDENCE_WRITERS:
        return
    for call in calls(tree):
        name = ast.unparse(call.func)
        in_memory = name == "av.open" and ast.unparse(call.args[0]) == "buffer"
        if (name in OPENING and not in_memory) or name.split(".")[-1] in ("write_bytes", "write_text"):
            yield f"{module}:{call.lineno} calls {name}"
    yield from (f"{module} imports {name}" for name in imports(tree) if name.split(".")[0] == "tempfile")


def nothing_is_printed(module: str, tree: ast.Module) -> Iterator[str]:
    """Output goes through typer and rich, notes through the log."""
    for call in calls(tree):
        if isinstance(call.func, ast.Name) and call.func.id == "print":
            yield f"{module}:{call.lineno} prints"


RULES: list[Rule] = [
    inward_imports,
    one_maker_of_safe_frames,
    pictures_leave_through_one_door,
    no_call_writes_files,
    tasks_have_parents,
    only_a_merchants_video_is_relayed,
    evidence_is_what_was_sent,
    clips_touch_no_disk_in_plain,
    nothing_is_printed,
]

OFFENCES = [
    (inward_imports, "guardian.core.frames", "import cv2"),
    (inward_imports, "guardian.core.frames", "from guardian.vision import cover"),
    (inward_imports, "guardian.core.frames", "def f():\n    from guardian import settings"),
    (inward_imports, "guardian.vision.chain", "from guardian.speech.hear import Hear"),
    (inward_imports, "guardian.vision.chain", "from guardian.models import ModelStore"),
    (inward_imports, "guardian.rtc.peer", "from guardian import vision"),
    (inward_imports, "guardian.web", "import guardian.server"),
    (one_maker_of_safe_frames, "guardian.rtc.tracks", "SafeFrame(raw.planes, 0.0, 0.0, Showing.COVERED)"),
    (one_maker_of_safe_frames, "guardian.demo.peer", "frames.SafeFrame(planes=raw.planes)"),
    (one_maker_of_safe_frames, "guardian.rtc.tracks", "object.__new__(SafeFrame)"),
    (one_maker_of_safe_frames, "guardian.rtc.tracks", "partial(SafeFrame, t=0.0)"),
    (
        one_maker_of_safe_frames,
        "guardian.rtc.tracks",
        "from guardian.core.frames import SafeFrame as Picture",
    ),
    (one_maker_of_safe_frames, "guardian.rtc.tracks", "Picture = SafeFrame"),
    (pictures_leave_through_one_door, "guardian.call.session", "av.VideoFrame.from_ndarray(raw)"),
    (pictures_leave_through_one_door, "guardian.rtc.tracks", "av.VideoFrame(640, 480, 'yuv420p')"),
    (pictures_leave_through_one_door, "guardian.callproc", "VideoFrame(640, 480)"),
    (pictures_leave_through_one_door, "guardian.rtc.peer", "from av import VideoFrame as Picture"),
    (no_call_writes_files, "guardian.callproc", "from guardian.vision.film import FilmWriter"),
    (no_call_writes_files, "guardian.vision.chain", "from guardian.vision import film"),
    (no_call_writes_files, "guardian.server", "from guardian.demo.peers import frame_of"),
    (no_call_writes_files, "guardian.callproc", "import guardian.bench.call"),
    (tasks_have_parents, "guardian.call.session", "asyncio.create_task(run())"),
    (tasks_have_parents, "guardian.call.session", "from asyncio import gather"),
    (tasks_have_parents, "guardian.call.session", "loop.create_task(run())"),
    (tasks_have_parents, "guardian.call.session", "asyncio.get_running_loop().create_task(run())"),
    (tasks_have_parents, "guardian.call.session", "asyncio.ensure_future(run())"),
    (only_a_merchants_video_is_relayed, "guardian.callproc", "leg.pass_on('video', relay.put)"),
    (only_a_merchants_video_is_relayed, "guardian.call.session", "leg.pass_on(kind, relay.put)"),
    (only_a_merchants_video_is_relayed, "guardian.rtc.sfu.whip", "Peer(config, Outgoing(), ('video',))"),
    (only_a_merchants_video_is_relayed, "guardian.rtc.sfu.whip", "Leg = Peer"),
    (evidence_is_what_was_sent, "guardian.call.seats", "SentPicture('VP8', raw, True, 0)"),
    (evidence_is_what_was_sent, "guardian.call.picture", "ring.picture(role, KeptPiece('VP8', raw, 0, 0))"),
    (evidence_is_what_was_sent, "guardian.rtc.peer", "Kept = recording.SentPicture"),
    (clips_touch_no_disk_in_plain, "guardian.evidence.clip", "Path('x').write_bytes(data)"),
    (clips_touch_no_disk_in_plain, "guardian.evidence.container", "av.open('/tmp/clip.webm', 'w')"),
    (clips_touch_no_disk_in_plain, "guardian.evidence.clip", "from tempfile import NamedTemporaryFile"),
    (nothing_is_printed, "guardian.commands.listen", "print('heard')"),
]

LAWFUL = [
    (inward_imports, "guardian.core.frames", "import numpy as np\nfrom guardian.core.geometry import Box"),
    (inward_imports, "guardian.vision.chain", "import cv2\nfrom guardian.core.frames import Planes"),
    (inward_imports, "guardian.eyes", "from guardian.vision.chain import Chain"),
    (one_maker_of_safe_frames, SAFE_FRAME_MAKER, "SafeFrame(planes, t, arrived, showing)"),
    (
        tasks_have_parents,
        "guardian.call.s",
        "async def f():\n async with TaskGroup() as g:\n  g.create_task(h())",
    ),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_rule(rule: Rule):
    found = []
    for module, path in modules().items():
        found += rule(module, ast.parse(path.read_text(encoding="utf-8")))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("rule", "module", "source"), OFFENCES)
def test_an_offence_is_noticed(rule: Rule, module: str, source: str):
    assert list(rule(module, ast.parse(source)))


@pytest.mark.parametrize(("rule", "module", "source"), LAWFUL)
def test_what_is_lawful_is_let_be(rule: Rule, module: str, source: str):
    assert not list(rule(module, ast.parse(source)))


def test_video_is_passed_on_once_and_for_legs_in_the_merchants_seat():
    tree = ast.parse(modules()[VIDEO_RELAYING].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    relaying = [one for one in functions if "'video', self._relay.put" in ast.unparse(one)]
    assert [one.name for one in relaying] == ["_relay_merchant"]
    assert ast.unparse(tree).count("_relay.put") == 1
    choices = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    leading = [one for one in choices if "_relay_merchant" in ast.unparse(one.body[0])]
    assert [ast.unparse(one.test) for one in leading] == ["role is Role.MERCHANT"]
    assert ast.unparse(tree).count("self._relay_merchant(") == 1


def test_no_module_is_too_long_to_read():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_every_package_says_what_it_is_for():
    packages = {name: path for name, path in modules().items() if path.name == "__init__.py"}
    silent = [name for name, path in packages.items() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []
