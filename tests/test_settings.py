import json
from dataclasses import fields

import pytest

from guardian.core.config import WorkConfig
from guardian.core.errors import ConfigError
from guardian.resources import resource
from guardian.settings import Settings, load


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    import os

    for name in os.environ:
        if name.startswith("GUARDIAN_"):
            monkeypatch.delenv(name)


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_the_shipped_file_says_what_the_defaults_are():
    import tomllib

    shipped = tomllib.loads(resource("configs", "guardian.toml").read_text())
    assert shipped == json.loads(Settings().model_dump_json())
    assert load() == Settings()


def test_the_defaults_are_those_of_the_core():
    assert load().work_config() == WorkConfig()


def test_every_value_of_the_core_can_be_set():
    settings = Settings()
    for section in fields(WorkConfig):
        if section.name != "default_mode":
            names = {field.name for field in fields(getattr(WorkConfig(), section.name))}
            if section.name == "evidence":
                # The key is made from one that the server alone has; the others are the server's.
                assert names - {"public_key"} <= set(type(settings.evidence).model_fields)
                continue
            assert names == set(type(getattr(settings, section.name)).model_fields)


def test_command_line_stands_above_environment_above_file(tmp_path, monkeypatch):
    path = written(tmp_path, "[server]\nport = 1\nregion = 'cn'\nhost = '127.0.0.2'\n")
    monkeypatch.setenv("GUARDIAN_SERVER__PORT", "2")
    monkeypatch.setenv("GUARDIAN_SERVER__REGION", "eu")
    settings = load(path, {"server": {"port": 3}})
    assert (settings.server.port, settings.server.region, settings.server.host) == (3, "eu", "127.0.0.2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1", "`server.prot`"),
        ("[sever]\nport = 1", "`sever`"),
        ("[server]\nport = 'x'", "`server.port`"),
        ("[media]\ncurtain_fps = 3", "`media.curtain_fps`"),
        ("[media]\nudp_ports = [50000]", "`media.udp_ports`"),
        ("[media]\nudp_ports = [50999, 50000]", "`media.udp_ports`"),
        ("[media]\nudp_ports = [0, 70000]", "`media.udp_ports"),
        ("[media]\nadvertised_addresses = ['example.com']", "`media.advertised_addresses"),
        ("[media]\nice_transport = 'relay'", "TURN server"),
        ("[media]\nice_servers = [{urls = ['turn:a b']}]", "`media.ice_servers"),
        ("[media]\nturn = [{urls = ['stun:a'], secret = {env = 'S'}}]", "`media.turn"),
        ("[media]\nsfu_origins = ['https://sfu.example/rooms']", "`media.sfu_origins`"),
        ("[media]\nsfu_origins = ['https://user@sfu.example']", "`media.sfu_origins`"),
        ("[speech]\non_deaf = 'shout'", "`speech.on_deaf`"),
        ("[evidence]\nbefore_s = 16", "`ring_s`"),
        ("[evidence]\nlongest_s = 19", "`longest_s`"),
        ("default_mode = 'open'", "`default_mode`"),
        ("[server", "not TOML"),
        ("[[events.webhooks]]\nname='a'\nurl='http://a.example'\nsecret={env='S'}", "https://"),
        (
            "[[events.webhooks]]\nname='a'\nurl='https://a.example'\nsecret={env='S',file='f'}",
            "`file` or `env`",
        ),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_variable_is_named(monkeypatch):
    monkeypatch.setenv("GUARDIAN_SEVER__PORT", "2")
    with pytest.raises(ConfigError, match="GUARDIAN_SEVER__PORT"):
        load()


def test_secrets_are_read_where_they_lie_and_never_dumped(tmp_path, monkeypatch):
    monkeypatch.setenv("TURN_SECRET", "hunter2")
    path = written(
        tmp_path,
        "[media]\nice_servers = [{urls = ['turn:t.example:3478'], username = 'u',"
        " credential = {env = 'TURN_SECRET'}}]",
    )
    settings = load(path)
    assert settings.work_config().media.ice_servers[0].credential == "hunter2"
    assert "hunter2" not in settings.model_dump_json() + repr(settings)
    monkeypatch.delenv("TURN_SECRET")
    with pytest.raises(ConfigError, match="TURN_SECRET"):
        settings.work_config()


def test_the_network_is_configured(tmp_path):
    secret = tmp_path / "turn.secret"
    secret.write_text("hunter2\n")
    settings = load(
        written(
            tmp_path,
            "[media]\nice_transport = 'relay'\nudp_ports = [50000, 50999]\n"
            "bind_addresses = ['10.0.0.5', 'fd00::5']\nadvertised_addresses = ['203.0.113.7']\n"
            "[[media.turn]]\nurls = ['turn:t.example:3478?transport=tcp']\n"
            f"secret = {{ file = '{secret}' }}\n",
        )
    )
    media = settings.work_config().media
    assert media.ice_transport == "relay"
    assert media.udp_ports == (50000, 50999)
    assert media.bind_addresses == ("10.0.0.5", "fd00::5")
    assert media.advertised_addresses == ("203.0.113.7",)
    assert (media.turn[0].urls, media.turn[0].secret) == (("turn:t.example:3478?transport=tcp",), "hunter2")
    assert "hunter2" not in settings.model_dump_json() + repr(settings) + repr(media)


def test_what_may_be_shown_is_configured_for_all_and_for_one_merchant(tmp_path):
    contacts = (
        load(
            written(
                tmp_path,
                '[contacts]\nwatch = ["merchant"]\nkinds = ["code"]\n'
                '[contacts.allow]\ndomains = ["shop.example.com"]\n'
                '[contacts.merchants.m_1]\npatterns = ["0571\\\\d{8}"]\n',
            )
        )
        .work_config()
        .contacts
    )
    assert (contacts.watch, contacts.kinds) == (("merchant",), ("code",))
    assert contacts.allow.domains == ("shop.example.com",)
    assert contacts.merchants["m_1"].patterns == (r"0571\d{8}",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[contacts]\nallow = { patterns = ["("] }\n', "is no regular expression"),
        ('[contacts]\nallow = { domains = ["https://a.example.com/"] }\n', "without scheme or path"),
        ('[contacts]\nwatch = ["everybody"]\n', "contacts.watch"),
    ],
)
def test_what_may_not_be_shown_that_way_is_named(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        load(written(tmp_path, text))


def test_the_address_of_a_machine_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("GUARDIAN_MEDIA__ADVERTISED_ADDRESSES", '["203.0.113.7"]')
    monkeypatch.setenv(
        "GUARDIAN_MEDIA__TURN", '[{"urls": ["turn:t.example"], "secret": {"env": "TURN_SECRET"}}]'
    )
    monkeypatch.setenv("TURN_SECRET", "hunter2")
    media = load().work_config().media
    assert media.advertised_addresses == ("203.0.113.7",)
    assert media.turn[0].secret == "hunter2"


@pytest.mark.parametrize("name", ["strict.toml", "demo.toml"])
def test_the_other_shipped_files_can_be_used(name):
    assert load(resource("configs", name)) != Settings()
