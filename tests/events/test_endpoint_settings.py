"""What endpoints may be told in the settings."""

import pytest

from guardian.core.delivery import About, Route
from guardian.core.errors import ConfigError
from guardian.core.violations import Level
from guardian.settings import load

HOOK = '[[events.webhooks]]\nname = "trust"\nurl = "https://t.example.com"\nsecret = { env = "S" }\n'
NATS = '[[events.nats]]\nname = "fleet"\nurl = "tls://nats.example.com"\n'


def loaded(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load(path)


def test_choices_become_routes(tmp_path):
    text = f'{HOOK}types = ["violation.*", "call.left"]\nlevels = ["BLOCK"]\ntenants = ["acme"]\n{NATS}'
    routes = loaded(tmp_path, text).events.routes
    assert [route.sink for route in routes] == ["file", "trust", "fleet"]
    trust = routes[1]
    assert trust.takes(About("violation.detected", "acme", Level.BLOCK))
    assert trust.takes(About("call.left", "acme"))
    assert not trust.takes(About("violation.detected", "acme", Level.REVIEW))
    assert not trust.takes(About("violation.detected", "other", Level.BLOCK))
    assert not trust.takes(About("call.joined", "acme"))
    assert Route("all").takes(About("call.joined", "other"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f'{HOOK}types = ["violations.*"]\n', "violations"),
        (f'{HOOK}levels = ["LOW"]\n', "levels"),
        (f"{HOOK}{NATS.replace('fleet', 'trust')}", "name"),
        (NATS.replace("tls", "nats"), "allow_private"),
        (NATS.replace("nats.example", "user:secret@nats.example"), "its secret lies"),
        ('[events]\nretry_s = []\n', "retry_s"),
        ('[store]\nurl = "mysql://db/guardian"\n', "postgresql://"),
        ('[store]\nurl = "postgresql://guardian@db"\n', "postgresql://"),
        ('[store]\nurl = "postgresql://guardian:secret@db/guardian"\n', "password"),
        ('[store]\nmax_bytes = 1\n', "max_bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(tmp_path, text, named):
    with pytest.raises(ConfigError, match=named) as refused:
        loaded(tmp_path, text)
    assert "secret@" not in str(refused.value)


def test_the_stores_password_is_read_from_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("STORE_PASSWORD", "hush")
    text = '[store]\nurl = "postgresql://guardian@db/guardian"\npassword = { env = "STORE_PASSWORD" }\n'
    settings = loaded(tmp_path, text)
    assert settings.store_config().password == "hush"
    assert "hush" not in repr(settings) + settings.fingerprint() + repr(settings.store_config())
