"""Each file is read by the tool that will read it, where that is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_container_file_is_clean(need):
    run(need("hadolint"), str(DEPLOY / "Containerfile"))


@pytest.mark.parametrize("name", ["sidecar.yaml", "fleet.yaml"])
def test_kubernetes_takes_the_manifests(need, name):
    run(need("kubernetes-validate"), "--strict", str(DEPLOY / "kubernetes" / name))


def test_alarms_go_off_when_they_should_and_not_before(need):
    promtool = need("promtool")
    run(promtool, "check", "rules", "alerts.yaml", cwd=DEPLOY / "prometheus")
    run(promtool, "test", "rules", "alerts_test.yaml", cwd=DEPLOY / "prometheus")


def test_systemd_takes_the_service_and_calls_it_safe(need, tmp_path):
    tool = need("systemd-analyze")
    unit = tmp_path / "guardian.service"
    text = (DEPLOY / "guardian.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/guardian/bin/guardian", shutil.which("true")), encoding="utf-8")
    run(tool, "verify", "--man=no", str(unit))
    # The score is from 0 (safe) to 10; 2.0 is `OK`.
    run(tool, "security", "--offline=true", "--threshold=20", str(unit))


def test_the_broker_takes_its_settings(need, tmp_path):
    shutil.copy(DEPLOY / "compose" / "nats.conf", tmp_path)
    (tmp_path / "token.conf").write_text('token: "only-for-this-test"\n', encoding="utf-8")
    run(need("nats-server"), "-t", "-c", str(tmp_path / "nats.conf"))
