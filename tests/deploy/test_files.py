"""What deploy/ holds fits together, and fits the settings and metrics of this Guardian."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from guardian import __version__
from guardian.settings import load

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
IMAGE = f"guardian:{__version__}"
USER = 65532
FIELDS = {"status.hostIP": "10.0.0.7", "metadata.name": "guardian-7c9f8d-x2x4p"}
DASHBOARD = json.loads((DEPLOY / "grafana" / "guardian.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVERS = {name: s for name, s in COMPOSE["services"].items() if name.startswith("guardian")}
METRIC = re.compile(r"\b(?:guardian|process)_[a-z0-9_]+\b(?!\s*[({]?\")")
DOCUMENTED = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8"), re.M))


def manifests(name):
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text(encoding="utf-8")))


def one(name, kind):
    (found,) = [m for m in manifests(name) if m["kind"] == kind]
    return found


def pod(name):
    return one(name, "Deployment")["spec"]["template"]["spec"]


def server_of(name):
    spec = pod(name)
    (found,) = [c for c in [*spec.get("initContainers", []), *spec["containers"]] if c["name"] == "guardian"]
    return found


def config_of(name):
    return one(name, "ConfigMap")["data"]["guardian.toml"]


def queries():
    """Everything in PromQL, by where it stands."""
    panels = [p for p in DASHBOARD["panels"] if p["type"] != "row"]
    for panel in panels:
        for target in panel["targets"]:
            yield f"panel {panel['title']}", target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        yield f"variable {variable['name']}", variable.get("definition", "")
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
    for trigger in one("keda.yaml", "ScaledObject")["spec"]["triggers"]:
        yield "keda", trigger["metadata"]["query"]


@pytest.mark.parametrize(("place", "query"), list(queries()))
def test_every_query_asks_for_metrics_that_are_documented(place, query):
    for name in METRIC.findall(query):
        assert DOCUMENTED & {name, re.sub(r"_(bucket|sum|count)$", "", name)}, f"{place}: {name}"


def test_alarms_say_what_happened_and_what_to_do():
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_the_dashboard_works_with_any_data_source_and_its_panels_lie_apart():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = set()
    for panel in panels:
        grid = panel["gridPos"]
        mine = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert max(x for x, _ in mine) < 24
        assert not cells & mine, panel["title"]
        cells |= mine
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["description"]


def test_one_image_everywhere():
    assert server_of("sidecar.yaml")["image"] == server_of("fleet.yaml")["image"] == IMAGE
    assert {s["image"] for s in SERVERS.values()} == {"${GUARDIAN_IMAGE:-" + IMAGE + "}"}


@pytest.mark.parametrize("name", ["sidecar.yaml", "fleet.yaml"])
def test_settings_of_the_manifests_can_be_used_and_pods_outlive_their_drain(name, tmp_path, monkeypatch):
    file = tmp_path / "guardian.toml"
    file.write_text(config_of(name), encoding="utf-8")
    for variable in server_of(name)["env"]:
        field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        value = variable.get("value") or FIELDS[field]
        value = value.replace("$(HOST_IP)", FIELDS["status.hostIP"])
        monkeypatch.setenv(variable["name"], value)
    settings = load(file)
    took = settings.server.drain_s + settings.server.stop_s
    assert pod(name)["terminationGracePeriodSeconds"] >= took + 5


@pytest.mark.parametrize("name", SERVERS)
def test_settings_of_compose_can_be_used_and_servers_outlive_their_drain(name, monkeypatch):
    service = SERVERS[name]
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value))
    fleet = "--config" in service.get("command", [])
    settings = load(DEPLOY / "compose" / "fleet.toml" if fleet else None)
    took = settings.server.drain_s + settings.server.stop_s
    assert int(service["stop_grace_period"].removesuffix("s")) >= took + 5
    read = set(re.findall(r'"/run/secrets/([^"]+)"', (DEPLOY / "compose" / "fleet.toml").read_text("utf-8")))
    assert set(service.get("secrets", ())) == (read if fleet else set())
    first, last = settings.media.udp_ports
    assert f"{first}-{last}:{first}-{last}/udp" in service["ports"]


@pytest.mark.parametrize("name", ["sidecar.yaml", "fleet.yaml"])
def test_pods_have_no_rights_and_every_port_they_need(name):
    spec, server = pod(name), server_of(name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert spec["automountServiceAccountToken"] is False
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
    assert server["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert server["readinessProbe"]["httpGet"]["path"] == "/readyz"
    first, last = tomllib.loads(config_of(name))["media"]["udp_ports"]
    ports = [p["hostPort"] for p in server["ports"] if p.get("protocol") == "UDP"]
    assert ports == list(range(first, last + 1))
    media = one(name, "NetworkPolicy")["spec"]["ingress"][0]["ports"]
    assert media == [{"protocol": "UDP", "port": first, "endPort": last}]
    mounted = {mount["name"] for mount in server["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}
    secrets = re.findall(r'"(/run/secrets/[^"]+)"', config_of(name))
    assert secrets
    assert all(path.startswith("/run/secrets/guardian/") for path in secrets)


def test_parts_of_the_fleet_mean_the_same_pods():
    labels = one("fleet.yaml", "Deployment")["spec"]["template"]["metadata"]["labels"]
    for kind in ("PodDisruptionBudget", "NetworkPolicy", "Service"):
        spec = one("fleet.yaml", kind)["spec"]
        selector = spec.get("selector", spec.get("podSelector"))
        assert selector.get("matchLabels", selector).items() <= labels.items()
    target = one("keda.yaml", "ScaledObject")["spec"]["scaleTargetRef"]
    assert target["name"] == one("fleet.yaml", "Deployment")["metadata"]["name"]
    wanted = float(one("keda.yaml", "ScaledObject")["spec"]["triggers"][0]["metadata"]["threshold"])
    assert wanted < tomllib.loads(config_of("fleet.yaml"))["limits"]["max_calls"]


def test_servers_of_compose_have_no_rights():
    assert len(SERVERS) == 3
    for service in SERVERS.values():
        assert service["user"] == f"{USER}:{USER}"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert "/var/lib/guardian" in {volume.partition(":")[2] for volume in service["volumes"]}
        assert all(port.startswith("127.0.0.1:") or port.endswith("/udp") for port in service["ports"])
        assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
    named = {volume.partition(":")[0] for s in COMPOSE["services"].values() for volume in s["volumes"]}
    assert named == COMPOSE["volumes"].keys()
    assert "profiles" not in SERVERS["guardian"]


def test_the_image_has_no_root_no_shell_and_what_it_copies_is_there():
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    last = text.rpartition("\nFROM ")[2]
    assert f"\nUSER {USER}:{USER}\n" in last
    assert "\nSTOPSIGNAL SIGTERM\n" in last
    started = re.findall(r"^(?:ENTRYPOINT|CMD) (.*)$", last, re.M)
    assert [json.loads(words) for words in started] == [["guardian"], ["serve", "--host", "0.0.0.0"]]
    (check,) = re.findall(r"^HEALTHCHECK .*?CMD (.*)$", last, re.M)
    program = json.loads(check)
    compile(program[-1], "healthcheck", "exec")
    kept = re.findall(r"^!(\S+)$", (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8"), re.M)
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert any(source == k or source.startswith(f"{k}/") for k in kept), source
    assert all((ROOT / k).exists() for k in kept)


def test_the_service_stops_its_server_alone_and_a_call_that_is_killed_stops_no_other():
    unit = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "guardian.service").read_text(encoding="utf-8"), re.M))
    assert unit["KillMode"] == "mixed"
    assert unit["OOMPolicy"] == "continue"
    # Addresses of this machine are asked for over netlink.
    assert "AF_NETLINK" in unit["RestrictAddressFamilies"]
    server = load().server
    assert int(unit["TimeoutStopSec"]) >= server.drain_s + server.stop_s + 5
