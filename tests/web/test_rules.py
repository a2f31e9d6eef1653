"""`/v1/rules` as somebody meets it who looks after the rules of a running server."""

import time

import pytest

from guardian.core.rulebook import label_of, unpacked
from guardian.web.keyfile import KeyFile

RULES = """
terms: {channel: [微信]}
rules:
  - id: contact.add
    category: contact_exchange
    owner: trust
    clause: "2.1"
    version: "7"
    patterns: ["加 ~2 {channel}"]
"""
YAML = {"Content-Type": "application/yaml"}
OVERLAY = "for: {merchants: [m_7]}\nchange: {contact.add: {level: BLOCK}}\n"


class Site:
    """A server with a rules folder and keys."""

    def __init__(self, serve, tmp_path, tenants):
        self.folder = tmp_path / "rules"
        self.folder.mkdir()
        (self.folder / "rules.yaml").write_text(RULES, encoding="utf-8")
        keys = KeyFile(tmp_path / "data" / "api_keys.json")
        self.auth = {tenant: {"Authorization": f"Bearer {keys.add(tenant)[1]}"} for tenant in tenants}
        self.server = serve(slots=3, speech={"rules_dir": str(self.folder)})
        self.host = self.server.host

    def ask(self, method, path="", tenant="default", **options):
        headers = {**self.auth[tenant], **options.pop("headers", {})}
        return self.server.client.request(method, f"/v1/rules{path}", headers=headers, **options)

    def put(self, name, text, tenant="default"):
        return self.ask("PUT", f"/files/{name}", tenant, content=text.encode(), headers=YAML)

    def call(self, call_body, tenant="default", **fields):
        body = call_body(**fields)
        return self.server.client.post("/v1/calls", json=body, headers=self.auth[tenant])

    def until(self, true, what, limit_s=5.0):
        deadline = time.monotonic() + limit_s
        while not true():
            assert time.monotonic() < deadline, f"{what} did not come within {limit_s} s"
            time.sleep(0.05)


@pytest.fixture
def site(serve, tmp_path):
    return Site(serve, tmp_path, ("default",))


@pytest.fixture
def two(serve, tmp_path):
    return Site(serve, tmp_path, ("acme", "other"))


def test_strangers_are_refused_on_loopback_too_and_told_what_to_do(server, refused):
    for method, path in (
        ("GET", ""), ("PATCH", "/contact.add"), ("PUT", "/files/rules.yaml"), ("DELETE", "/files/rules.yaml"),
        ("POST", "/test"), ("POST", "/backtest"), ("GET", "/contact.add"), ("GET", "/files/rules.yaml"),
    ):  # fmt: skip
        problem = refused(server.client.request(method, f"/v1/rules{path}"), 401)
        assert "guardian keys init" in problem["detail"]


def test_with_keys_a_stranger_is_refused(site, refused):
    refused(site.server.client.get("/v1/rules"), 401)


def test_the_rules_are_listed_with_what_they_are(site):
    about = site.ask("GET").json()
    (rule,) = about["rules"]
    assert {key: rule[key] for key in ("id", "state", "version", "owner", "clause", "file", "line")} == {
        "id": "contact.add", "state": "live", "version": "7", "owner": "trust", "clause": "2.1",
        "file": "rules.yaml", "line": 4,
    }  # fmt: skip
    assert (about["ruleset"], about["editable"], about["refused"]) == ("default", True, None)
    assert about["files"] == ["rules.yaml"]
    assert site.ask("GET", "/contact.add").json() == rule
    assert site.ask("GET", "/files/rules.yaml").text == RULES


def test_what_is_not_there_is_said(site, refused):
    for method, path, body in (
        ("GET", "/nothing", {}),
        ("PATCH", "/nothing", {"json": {"state": "off"}}),
        ("GET", "/files/nothing.yaml", {}),
        ("DELETE", "/files/nothing.yaml", {}),
        ("PUT", "/files/..%2Fevil.yaml", {"content": b"", "headers": YAML}),
        ("PUT", "/files/a/b/c.yaml", {"content": b"", "headers": YAML}),
        ("PUT", "/files/notes.txt", {"content": b"", "headers": YAML}),
    ):
        refused(site.ask(method, path, **body), 404)


def test_a_state_is_changed_and_handed_to_running_calls(site, call_body):
    call_id = site.call(call_body).json()["call_id"]
    first = site.host.rules[call_id]
    answer = site.ask("PATCH", "/contact.add", json={"state": "shadow"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "shadow"
    assert site.ask("GET", "/contact.add").json()["state"] == "shadow"
    site.until(lambda: site.host.rules[call_id] != first, "new rules for the call")
    assert unpacked(site.host.rules[call_id]).rules[0].state == "shadow"
    assert (site.folder / "rules.yaml").read_text("utf-8") == RULES, "what people wrote is left as it was"
    assert (
        site.ask("PATCH", "/contact.add", json={"state": "live"}).json()["ruleset"] == "default+api-default"
    )


def test_a_file_is_written_whole_and_handed_to_running_calls(site, call_body):
    call_id = site.call(call_body).json()["call_id"]
    answer = site.put("rules.yaml", RULES.replace("[微信]", "[微信, 钉钉]"))
    assert answer.status_code == 200, answer.text
    assert "钉钉" in (site.folder / "rules.yaml").read_text("utf-8")
    assert [path.name for path in site.folder.iterdir()] == ["rules.yaml"]
    wanted = f"default@{answer.json()['fingerprint']}"
    site.until(lambda: label_of(site.host.rules[call_id]) == wanted, "new rules for the call")


def test_a_broken_file_is_refused_with_its_line_and_changes_nothing(site, refused, call_body):
    call_id = site.call(call_body).json()["call_id"]
    before = site.host.rules[call_id], site.ask("GET").json()["fingerprint"]
    problem = refused(site.put("rules.yaml", RULES + "    weight: 3\n"), 422)
    assert problem["errors"] == [
        {
            "file": "rules.yaml", "line": 10, "rule": "contact.add",
            "detail": "weight must be a number above 0 and at most 1.",
        }
    ]  # fmt: skip
    assert "rules.yaml line 10" in problem["detail"]
    assert (site.folder / "rules.yaml").read_text("utf-8") == RULES
    assert (site.host.rules[call_id], site.ask("GET").json()["fingerprint"]) == before
    refused(site.put("rules.yaml", ""), 422)
    refused(site.ask("PUT", "/files/rules.yaml", content=b"\xff", headers=YAML), 400)
    refused(site.ask("PUT", "/files/rules.yaml", json={}), 415)


def test_an_edit_on_disk_is_in_force_soon_and_a_broken_one_is_told(site, call_body):
    call_id = site.call(call_body).json()["call_id"]
    first = site.host.rules[call_id]
    (site.folder / "rules.yaml").write_text(RULES.replace("微信", "钉钉"), encoding="utf-8")
    site.until(lambda: site.host.rules[call_id] != first, "the edit")
    good = site.host.rules[call_id]
    (site.folder / "rules.yaml").write_text("rules:\n  - id: [", encoding="utf-8")
    site.until(lambda: site.ask("GET").json()["refused"] is not None, "the refusal")
    refusal = site.ask("GET").json()["refused"]
    assert [(fault["file"], fault["line"]) for fault in refusal["faults"]] == [("rules.yaml", 2)]
    metrics = site.server.client.get("/metrics").text
    assert "guardian_rules_refused 1.0" in metrics
    assert 'guardian_rule_edits_total{outcome="refused"} 1.0' in metrics
    assert 'guardian_rule_edits_total{outcome="taken"} 1.0' in metrics
    assert site.host.rules[call_id] == good
    other = site.call(call_body).json()["call_id"]
    assert site.host.rules[other] == good, "calls that begin now get the old rules too"


def test_overlays_hold_for_their_merchants_and_for_those_who_ask(site, call_body, refused):
    assert site.put("overlays/club.yaml", OVERLAY).status_code == 200
    assert site.put("overlays/strict.yaml", "change: {contact.add: {weight: 0.9}}").status_code == 200
    listed = site.ask("GET").json()["overlays"]
    assert [(one["name"], one["merchants"], one["by_name_only"]) for one in listed] == [
        ("club", ["m_7"], False),
        ("strict", [], True),
    ]
    plain = site.call(call_body).json()["call_id"]
    asked = site.call(call_body, merchant={"id": "m_7"}, overlays=["strict"]).json()["call_id"]
    assert unpacked(site.host.rules[plain]).name == "default"
    assert unpacked(site.host.rules[asked]).name == "default+club+strict"
    status = site.server.client.get(f"/v1/calls/{asked}", headers=site.auth["default"]).json()
    assert status["overlays"] == ["strict"]
    assert status["rules"]["ruleset"].startswith("default+club+strict@")
    problem = refused(site.call(call_body, overlays=["nothing"]), 422)
    assert "nothing" in problem["detail"]
    refused(site.call(call_body, overlays=["a", "b", "c", "d", "e"]), 422)
    assert site.ask("DELETE", "/files/overlays/strict.yaml").status_code == 200
    site.until(lambda: unpacked(site.host.rules[asked]).name == "default+club", "the overlay's end")


def test_lines_are_judged_dry(site, refused):
    site.put("overlays/club.yaml", OVERLAY)
    lines = ["加微信", "你好"]
    found = site.ask("POST", "/test", json={"lines": lines}).json()["results"]
    assert [(one["text"], one["flagged"], one["level"]) for one in found] == [
        ("加微信", True, "REVIEW"),
        ("你好", False, "PASS"),
    ]
    club = site.ask("POST", "/test", json={"lines": lines, "merchant": "m_7"}).json()["results"]
    assert club[0]["level"] == "BLOCK"
    refused(site.ask("POST", "/test", json={"lines": []}), 422)
    refused(site.ask("POST", "/test", json={"lines": ["x"], "overlays": ["none"]}), 422)


def test_lines_that_take_too_long_are_given_up(site, refused, monkeypatch):
    monkeypatch.setattr("guardian.rule_desk._COMPUTE_S", -1.0)
    assert "fewer" in refused(site.ask("POST", "/test", json={"lines": ["x"]}), 503)["detail"]
    body = {"lines": ["x"], "files": {"rules.yaml": RULES}}
    assert "fewer" in refused(site.ask("POST", "/backtest", json=body), 503)["detail"]


def test_a_proposal_is_compared_and_nothing_is_changed(site, refused):
    before = site.ask("GET").json()["fingerprint"]
    body = {
        "lines": ["加微信", "加钉钉", "你好"],
        "files": {"rules.yaml": RULES.replace("微信", "钉钉")},
    }
    found = site.ask("POST", "/backtest", json=body).json()
    assert [(one["kind"], one["text"]) for one in found["differences"]] == [
        ("gone", "加微信"),
        ("new", "加钉钉"),
    ]
    assert (found["before"]["flagged"], found["after"]["flagged"]) == (1, 1)
    problem = refused(site.ask("POST", "/backtest", json={**body, "files": {"rules.yaml": "rules: 5"}}), 422)
    assert problem["errors"][0]["line"] == 1
    refused(site.ask("POST", "/backtest", json={**body, "files": {"rules.yaml": None}}), 422)
    assert site.ask("GET").json()["fingerprint"] == before


def test_the_shipped_rules_are_not_changed(serve, tmp_path, refused):
    keys = KeyFile(tmp_path / "data" / "api_keys.json")
    auth = {"Authorization": f"Bearer {keys.add('default')[1]}"}
    client = serve().client
    assert client.get("/v1/rules", headers=auth).json()["editable"] is False
    put = client.put("/v1/rules/files/contact.yaml", content=RULES.encode(), headers={**auth, **YAML})
    assert "speech.rules_dir" in refused(put, 403)["detail"]
    refused(client.patch("/v1/rules/contact.group", json={"state": "off"}, headers=auth), 403)


def test_tenants_change_their_own_rules_only(two, refused):
    refused(two.put("rules.yaml", RULES, "acme"), 403)
    refused(two.put("overlays/x.yaml", "change: {contact.add: {state: shadow}}", "acme"), 403)
    mine = "for: {tenants: [acme]}\nchange: {contact.add: {state: shadow}}"
    assert two.put("overlays/x.yaml", mine, "acme").status_code == 200
    refused(two.put("overlays/x.yaml", mine.replace("acme", "other"), "other"), 403)
    refused(two.ask("GET", "/files/overlays/x.yaml", "other"), 404)
    assert two.ask("GET", "/contact.add", "acme").json()["state"] == "shadow"
    assert two.ask("GET", "/contact.add", "other").json()["state"] == "live"
    assert two.ask("PATCH", "/contact.add", "other", json={"state": "off"}).status_code == 200
    assert two.ask("GET", "/contact.add", "acme").json()["state"] == "shadow"
    assert "overlays/x.yaml" not in two.ask("GET", "", "other").json()["files"]


def test_the_description_of_the_api_has_the_rules(server):
    paths = server.client.get("/openapi.json").json()["paths"]
    assert {"get", "patch"} <= paths["/v1/rules/{rule_id}"].keys()
    assert {"get", "put", "delete"} <= paths["/v1/rules/files/{name}"].keys()
    assert "files" in str(paths["/v1/rules/backtest"]["post"]["requestBody"])
