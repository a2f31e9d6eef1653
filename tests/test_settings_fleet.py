"""The settings of a fleet: what cannot be a node says so in one sentence."""

import pytest

from guardian.core.errors import ConfigError
from guardian.settings import load

STORE = '[store]\nurl = "postgresql://u@h/d"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('url = "http://nats"', "fleet.url"),
        ('url = "nats://user:secret@nats"', "its secret lies"),
        ('url = "nats://nats"\nnode = "a.b"', "fleet.node"),
        ('url = "nats://nats"\nrenew_s = 3.0', "a third"),
        ('url = "nats://nats"\nlease = 3.0', "fleet.lease"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, text, sentence):
    config = tmp_path / "guardian.toml"
    config.write_text(f"[fleet]\n{text}\n")
    with pytest.raises(ConfigError, match=sentence) as refused:
        load(config)
    assert "secret@" not in str(refused.value)


def test_a_fleet_needs_a_store_and_keys_and_a_server_alone_neither(tmp_path):
    load().fleet.check("", keyless=True)
    config = tmp_path / "guardian.toml"
    config.write_text(f'[fleet]\nurl = "nats://nats"\n{STORE}')
    settings = load(config)
    with pytest.raises(ConfigError, match=r"store\.url"):
        settings.fleet.check("", keyless=False)
    with pytest.raises(ConfigError, match="keys init"):
        settings.fleet.check(settings.store.url, keyless=True)
    settings.fleet.check(settings.store.url, keyless=False)


def test_secrets_are_read_from_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.setenv("NATS_PASSWORD", "hush")
    config = tmp_path / "guardian.toml"
    config.write_text(
        '[fleet]\nurl = "tls://nats:4333"\nusername = "g"\npassword = { env = "NATS_PASSWORD" }\n'
    )
    target = load(config).fleet.target()
    assert (target.username, target.password, target.token) == ("g", "hush", "")
    assert "hush" not in repr(target)
