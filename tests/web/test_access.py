import os
import stat
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from guardian.cli import app
from guardian.core.errors import ConfigError
from guardian.ownership import handing_over
from guardian.web.keyfile import KeyFile


@pytest.fixture
def keyed(serve, tmp_path):
    keys = KeyFile(tmp_path / "data" / "api_keys.json")
    _, mine = keys.add("acme")
    key, other = keys.add("globex")
    return serve(), keys, key, mine, other


def shown(token):
    return {"authorization": f"Bearer {token}"}


def test_with_keys_strangers_get_nothing(keyed, call_body, refused):
    server, _, _, mine, _ = keyed
    response = server.client.post("/v1/calls", json=call_body())
    refused(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")
    refused(server.client.post("/v1/calls", content=b"{", headers={"content-type": "application/json"}), 401)
    refused(server.client.get("/v1/calls/c", headers=shown("gk_guess")), 401)
    assert server.client.post("/v1/calls", json=call_body(), headers=shown(mine)).status_code == 201


def test_a_call_of_another_tenant_is_not_there(keyed, call_body, refused):
    server, _, _, mine, other = keyed
    server.client.post("/v1/calls", json=call_body(call_id="c"), headers=shown(mine))
    assert server.client.get("/v1/calls/c", headers=shown(mine)).status_code == 200
    refused(server.client.get("/v1/calls/c", headers=shown(other)), 404)
    refused(server.client.delete("/v1/calls/c", headers=shown(other)), 404)
    refused(server.client.post("/v1/calls/c/complaint", headers=shown(other)), 404)
    assert "c" in server.host.calls


def test_the_token_of_a_leg_is_no_key(keyed, call_body, refused):
    """Who takes part in a call neither says where the other one is met nor what may be shown."""
    server, _, _, mine, _ = keyed
    call = server.client.post("/v1/calls", json=call_body(call_id="c"), headers=shown(mine)).json()
    place = {"url": "http://127.0.0.1:8088/janus", "room": 1002, "pin": "merchant-may"}
    for leg in call["legs"].values():
        for path, body in (
            ("/connect", {"role": "shopper", "janus": place}),
            ("/mode", {"mode": "install"}),
            ("/consent", {"scopes": ["protect"]}),
        ):
            answer = server.client.post(f"/v1/calls/c{path}", json=body, headers=shown(leg["token"]))
            refused(answer, 401)
        refused(server.client.get("/v1/calls/c", headers=shown(leg["token"])), 401)
        refused(server.client.delete("/v1/calls/c", headers=shown(leg["token"])), 401)
    assert "c" in server.host.calls


def test_a_revoked_key_is_refused_at_once(keyed, call_body, refused):
    server, keys, key, _, other = keyed
    assert server.client.get("/v1/cases", headers=shown(other)).status_code == 200
    keys.revoke(key.id)
    refused(server.client.get("/v1/cases", headers=shown(other)), 401)


def test_revoking_every_key_opens_nothing(keyed, call_body, refused):
    server, keys, _, _, _ = keyed
    for key in keys.all():
        keys.revoke(key.id)
    refused(server.client.post("/v1/calls", json=call_body()), 401)
    keys.path.unlink()
    refused(server.client.post("/v1/calls", json=call_body()), 401)


def test_the_try_it_page_is_off_with_keys(keyed, refused):
    refused(keyed[0].client.get("/demo"), 404)


def test_keys_are_kept_as_hashes_for_the_owner_only(tmp_path):
    keys = KeyFile(tmp_path / "api_keys.json")
    key, token = keys.add("acme")
    assert token not in keys.path.read_text()
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert keys.find(token) == key
    assert keys.find(token + "x") is None
    with pytest.raises(ConfigError, match="no key k_none"):
        keys.revoke("k_none")


def test_a_secret_for_turn_is_made_once_for_the_owner_only(tmp_path):
    made = CliRunner().invoke(app, ["keys", "turn", "--data", str(tmp_path / "new")])
    assert made.exit_code == 0, made.output
    path = tmp_path / "new" / "turn.secret"
    secret = path.read_text()
    assert secret.strip().isalnum()
    assert secret.strip() not in made.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert CliRunner().invoke(app, ["keys", "turn", "--data", str(tmp_path / "new")]).exit_code != 0
    assert path.read_text() == secret


def test_pages_of_other_sites_cannot_use_this_machine(server, call_body, refused):
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        refused(server.client.post("/v1/calls", json=call_body(), headers={"origin": origin}), 403)
    refused(server.client.get("/v1/calls/c", headers={"host": "evil.example"}), 403)
    own = {"origin": server.url}
    assert server.client.post("/v1/calls", json=call_body(), headers=own).status_code == 201
    text = {"content-type": "text/plain"}
    refused(server.client.post("/v1/calls", content=b"{}", headers=text), 415)


def test_a_configured_page_may_post_offers(serve):
    server = serve(server={"allowed_origins": ["https://shop.example"]})
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    response = server.client.options("/v1/calls/c/shopper", headers=asked)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://shop.example"
    assert "Authorization" in response.headers["access-control-allow-headers"]
    assert "Location" in response.headers["access-control-expose-headers"]


def test_without_keys_only_this_machine_is_listened_to(serve):
    with pytest.raises(ConfigError, match="guardian keys init"):
        serve(server={"host": "0.0.0.0"})


@pytest.mark.parametrize("damage", [lambda path: path.write_text("{"), lambda path: path.chmod(0)])
def test_a_key_file_that_cannot_be_read_ends_nothing(keyed, call_body, caplog, monkeypatch, damage):
    server, keys, key, mine, other = keyed
    body = keys.path.read_text()
    server.client.post("/v1/calls", json=call_body(call_id="c"), headers=shown(mine))
    damage(keys.path)
    if keys.path.stat().st_mode & 0o400 == 0:  # root reads what it has no rights for
        monkeypatch.setattr(Path, "read_text", Mock(side_effect=PermissionError))
    os.utime(keys.path, ns=(1, 1))
    assert server.client.get("/v1/calls/c", headers=shown(mine)).status_code == 200
    assert server.client.get("/livez").status_code == 200
    assert server.client.get("/v1/calls/c", headers=shown("gk_guess")).status_code == 401
    assert sum("keys of before hold" in record.message for record in caplog.records) == 1
    monkeypatch.undo()
    keys.path.unlink()
    keys.path.write_text(body)
    keys.revoke(key.id)
    assert server.client.get("/v1/calls/c", headers=shown(other)).status_code == 401


def test_a_file_that_could_never_be_read_opens_nothing(tmp_path):
    path = tmp_path / "api_keys.json"
    path.write_text("{")
    assert KeyFile(path).keyless() is False
    assert KeyFile(path).find("gk_guess") is None


def test_what_root_writes_in_the_folder_of_a_service_is_the_services(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, uid, gid, **_: given.append((path.name, uid, gid)))
    folder = SimpleNamespace(
        stat=lambda: SimpleNamespace(st_uid=61000, st_gid=61001),
        iterdir=lambda: iter(
            [
                SimpleNamespace(name="api_keys.json", lstat=lambda: SimpleNamespace(st_uid=0)),
                SimpleNamespace(name="guardian.db", lstat=lambda: SimpleNamespace(st_uid=61000)),
                SimpleNamespace(name="gone", lstat=Mock(side_effect=FileNotFoundError)),
            ]
        ),
    )
    with handing_over(folder):
        assert not given
    assert given == [("api_keys.json", 61000, 61001)]
    folder.stat = lambda: SimpleNamespace(st_uid=0, st_gid=0)
    with handing_over(folder):
        pass
    assert len(given) == 1
