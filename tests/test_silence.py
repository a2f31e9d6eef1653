"""No library leaves an identifier behind or reports to anybody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from guardian.models import ModelStore
from guardian.resources import resource

CLIP = resource("guardian", "demo", "clips", "merchant_solicitation.ogg")
OPEN_EYES = """
from guardian.core.config import VisionConfig
from guardian.core.frames import Mode
from guardian.eyes import open_eyes
from guardian.models import ModelStore
open_eyes(ModelStore.default(), VisionConfig(), Mode.SELFIE)
"""


def left_in_home(home: Path, arguments: list[str]) -> list[str]:
    """Files found in a home folder that was empty before Python ran with these arguments."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    keep |= {"HOME": str(home), "GUARDIAN_MODELS": str(ModelStore.default().folder)}
    # A CI service's variables silence onnxruntime by themselves: without them it is Guardian that does.
    for name in ("CI", "GITHUB_ACTIONS", "TF_BUILD", "CIRCLECI", "CODEBUILD_BUILD_ID"):
        keep.pop(name, None)
    done = subprocess.run(
        [sys.executable, *arguments], env=keep, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


@pytest.mark.live
def test_seeing_leaves_no_identifier_in_the_home_folder(weights, tmp_path):
    weights("face")
    weights("person")
    assert left_in_home(tmp_path, ["-c", OPEN_EYES]) == []


@pytest.mark.live
def test_hearing_leaves_no_identifier_in_the_home_folder(weights, tmp_path):
    weights("vad")
    assert left_in_home(tmp_path, ["-m", "guardian", "listen", str(CLIP), "--json"]) == []
