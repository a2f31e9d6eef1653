"""Accounts and sessions in a real store, on both engines."""

import contextlib
import json
from dataclasses import replace

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from guardian.core.audit import Principal, broken
from guardian.core.errors import NoSuchPerson, PersonRefused, SignInRefused, SignInSlowed, Unavailable
from guardian.core.people import Duty, Preferences, plain
from guardian.core.people_desk import NewPerson, PersonChange, SignInTry
from guardian.passwords import Passwords
from guardian.people_desk import PeopleParts, ServerPeople, principal
from guardian.people_keeper import PeopleKeeper
from guardian.store.audit import AuditLog
from guardian.store.people import People
from guardian.store.people_sessions import Limits, Sessions
from guardian.store.people_tables import accounts, browsers, sessions

SHELL = Principal("acme", "shell", "root")
WORDS = "correct horse battery"


class Office:
    def __init__(self, database, passwords):
        self.database = database
        self.now = 1_000_000.0
        self.counted = []
        self.audit = AuditLog(database)
        self.people = people = People(database)
        self.keeper = keeper = PeopleKeeper(people, passwords, lambda: self.now)
        self.desk = ServerPeople(
            PeopleParts(
                people=people,
                sessions=Sessions(database, Limits(idle_s=600, longest_s=3600)),
                keeper=keeper,
                passwords=passwords,
                audit=self.audit,
                clock=lambda: self.now,
                signed=self.counted.append,
            )
        )

    def hire(self, name="li.wei", tenant="acme", duties=(Duty.REVIEWER,), password=WORDS):
        who = replace(SHELL, tenant=tenant)
        return self.desk.add(who, NewPerson(tenant, name, "Li Wei", frozenset(duties)), password)

    def sign_in(self, name="li.wei", password=WORDS, **shown):
        return self.desk.sign_in(SignInTry(name, password, **{"address": "192.0.2.7", **shown}))

    def told(self):
        return [(link.act, link.subject, link.actor, json.loads(link.body)) for link in self.audit.links()]


@pytest.fixture(scope="module")
def passwords():
    made = Passwords(kib=64)
    yield made
    made.close()


@pytest.fixture
def office(database, passwords):
    return Office(database, passwords)


def test_somebody_signs_in_works_and_signs_out(office):
    made = office.hire()
    signed = office.sign_in("Ｌi.Wei ")
    assert signed.person == made
    assert office.desk.session(signed.session) == made
    assert office.desk.session(signed.session + "x") is None
    office.desk.sign_out(signed.session)
    assert office.desk.session(signed.session) is None
    office.desk.sign_out(signed.session)
    acts = [(act, actor) for act, _, actor, _ in office.told()]
    me = f"person:acme/{made.id}"
    assert acts == [
        ("account.made", "shell:acme/root"),
        ("person.signed_in", me),
        ("person.signed_out", me),
    ]
    assert list(broken(office.audit.links())) == []


def test_neither_passwords_nor_secrets_nor_names_are_kept_in_the_open(office):
    office.hire()
    signed = office.sign_in(browser="b" * 43)
    with office.database.reading() as db:
        rows = [row for table in (accounts, sessions, browsers) for row in db.execute(sa.select(table))]
    kept = repr(rows) + repr(office.told())
    for secret in (WORDS, signed.session, signed.browser):
        assert secret not in kept
        assert secret not in repr(signed)
    assert "$argon2id$v=19$" in kept
    assert "Wei" not in repr(office.told())


def test_a_hash_of_less_work_is_made_anew_when_somebody_signs_in(office):
    person = office.hire()
    dear = Passwords()
    later = Office(office.database, dear)
    later.sign_in()
    with office.database.reading() as db:
        kept = db.execute(sa.select(accounts.c.password).where(accounts.c.id == person.id)).scalar_one()
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert later.sign_in().person == person
    dear.close()


def test_whatever_is_wrong_the_words_are_the_same(office):
    person = office.hire()
    gone = office.hire("gone")
    office.desk.disable(SHELL, gone.id)
    said = set()
    for name, password in (
        ("li.wei", "something else"),
        ("nobody", WORDS),
        ("gone", WORDS),
        ("li.wei", ""),
        ("\ud800\x00" * 400, "x" * 5000),
    ):
        with pytest.raises(SignInRefused) as refusal:
            office.sign_in(name, password)
        said.add(str(refusal.value))
    assert len(said) == 1
    why = [(subject, body["why"]) for act, subject, _, body in office.told() if act == "person.turned_away"]
    assert why == [
        (person.id, "password"),
        ("sign-in", "unknown"),
        (gone.id, "disabled"),
        (person.id, "password"),
        ("sign-in", "unknown"),
    ]


def test_guessing_is_slowed_down_and_a_known_browser_is_not(office):
    office.hire()
    home = office.sign_in(address="198.51.100.1")
    for number in range(10):
        with pytest.raises(SignInRefused):
            office.sign_in(password=f"guess {number}", address=f"192.0.2.{number}")
    for name in ("li.wei", " LI.WEI"):
        with pytest.raises(SignInSlowed) as slowed:
            office.sign_in(name, address="203.0.113.9")
        assert 0 < slowed.value.retry_after <= 60
    again = office.sign_in(address="203.0.113.9", browser=home.browser)
    assert office.sign_in(address="192.0.2.200", browser=again.browser).person == home.person
    with pytest.raises(SignInSlowed):
        office.sign_in(browser=home.browser, address="203.0.113.9")  # It was changed for another one.
    assert set(office.counted) == {"in", "refused", "slowed"}


def test_a_name_that_nobody_has_costs_what_a_name_costs(passwords):
    """It is hashed and compared with the same parameters: a malformed hash would be refused at once."""
    nobodys, somebodys = passwords.nobodys, passwords.hashed(WORDS)
    assert extract_parameters(nobodys) == extract_parameters(somebodys)
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(nobodys, WORDS)
    assert Passwords(kib=64).nobodys != nobodys


def test_names_that_nobody_has_are_slowed_down_alike(office):
    for _ in range(10):
        with pytest.raises(SignInRefused):
            office.sign_in("nobody")
    with pytest.raises(SignInSlowed):
        office.sign_in("nobody", address="2001:db8::1")


def test_a_flood_of_refusals_does_not_flood_the_chain(office):
    who = Principal("acme", "person", "p_1")
    for _ in range(300):
        office.desk.forbidden(who, "rules.change")
    assert len(office.told()) <= 51


def test_an_old_session_ends_when_somebody_signs_in(office):
    """A session that was slipped into a browser is not the one that is signed in."""
    office.hire()
    first = office.sign_in()
    second = office.sign_in(session=first.session)
    assert second.session != first.session
    assert office.desk.session(first.session) is None
    planted = "a" * 43
    third = office.sign_in(session=planted)
    assert third.session != planted
    assert office.desk.session(planted) is None


def test_a_session_ends_when_it_is_left_alone_or_has_lasted_long(office):
    office.hire()
    session = office.sign_in().session
    for _ in range(8):
        office.now += 400
        assert office.desk.session(session)
    office.now += 400
    assert office.desk.session(session) is None
    session = office.sign_in().session
    office.now += 601
    assert office.desk.session(session) is None
    session = office.sign_in().session
    office.now -= 86_400
    assert office.desk.session(session) is None


@pytest.mark.parametrize("what", ["disable", "password", "own"])
def test_sessions_end_when_an_account_is_disabled_or_its_password_changed(office, what):
    person = office.hire()
    here, there = office.sign_in(), office.sign_in()
    if what == "disable":
        office.desk.disable(SHELL, person.id)
    elif what == "password":
        office.desk.set_password(SHELL, person.id, "another good password")
    else:
        with pytest.raises(SignInRefused):
            office.desk.own_password(principal(person), "not it", "another good password")
        office.desk.own_password(principal(person), WORDS, "another good password")
    assert office.desk.session(here.session) is office.desk.session(there.session) is None
    with pytest.raises(SignInRefused):
        office.sign_in()
    if what == "disable":
        office.desk.enable(SHELL, person.id)
        assert office.sign_in()
    else:
        assert office.sign_in(password="another good password")


def test_other_roles_hold_at_once(office):
    person = office.hire()
    session = office.sign_in().session
    office.desk.change(SHELL, person.id, PersonChange(duties=frozenset({Duty.VIEWER})))
    assert office.desk.session(session).duties == {Duty.VIEWER}
    assert office.told()[-1][3] == {"changed": ["duties"], "roles": ["viewer"], "were": ["reviewer"]}


def test_nobody_reaches_into_another_tenant(office):
    mine, theirs = office.hire(), office.hire("zhang", "rival")
    assert [one.name for one in office.desk.people(SHELL)] == ["li.wei"]
    for doing in (
        lambda: office.desk.change(SHELL, theirs.id, PersonChange(display="Mallory")),
        lambda: office.desk.disable(SHELL, theirs.id),
        lambda: office.desk.set_password(SHELL, theirs.id, "another good password"),
    ):
        with pytest.raises(NoSuchPerson):
            doing()
    new = NewPerson("rival", "mallory", "Mallory", frozenset({Duty.ADMIN}))
    assert office.desk.add(SHELL, new, "another good password").tenant == mine.tenant


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "li.wei"}, "taken"),
        ({"name": "../x"}, "a-z"),
        ({"name": "-x"}, "a-z"),
        ({"duties": frozenset()}, "needs a role"),
        ({"duties": frozenset({Duty.AUDITOR, Duty.ADMIN})}, "no other role"),
        ({"display": " "}, "1 to 64"),
        ({"display": "x" * 65}, "1 to 64"),
        ({"display": "adm\u202enim"}, "cannot be seen"),
        ({"language": "fr"}, "en, zh"),
        ({"zone": "../../etc/passwd"}, "IANA"),
        ({"zone": "Mars/Base"}, "IANA"),
    ],
)
def test_accounts_that_cannot_be_are_refused_in_a_sentence(office, changed, said):
    office.hire()
    new = replace(NewPerson("acme", "new", "New", frozenset({Duty.VIEWER})), **changed)
    with pytest.raises(PersonRefused, match=said):
        office.desk.add(SHELL, new, WORDS)


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("", "12 characters or more"),
        ("\ud800" + WORDS, "none"),
        ("too short", "12 characters or more"),
        ("x" * 257, "256 characters at most"),
        ("aaaaaaaaaaaaaab", "5 different"),
        ("li.wei-li.wei", "more than the name"),
    ],
)
def test_weak_passwords_are_refused_in_a_sentence(office, password, said):
    with pytest.raises(PersonRefused, match=said):
        office.hire(password=password)


def test_preferences_are_kept_and_spare_whoever_chose_nothing(office):
    person = office.hire()
    assert person.preferences == Preferences(blur=True, mute=True, grey=False, transcript_first=True)
    chosen = Preferences(blur=False, mute=True, grey=True, transcript_first=False)
    office.desk.change(principal(person), person.id, PersonChange(preferences=chosen, zone="Asia/Shanghai"))
    (kept,) = office.desk.people(SHELL)
    assert (kept.preferences, kept.zone) == (chosen, "Asia/Shanghai")


def test_old_sessions_and_browsers_make_room(office):
    office.hire()
    first = office.sign_in()
    for _ in range(9):
        office.now += 1
        office.sign_in()
    assert office.desk.session(first.session) is None
    with office.database.reading() as db:
        for table in (sessions, browsers):
            assert db.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 8


def test_what_an_administrator_changes_meanwhile_stays(office):
    """Whoever changes their own account at that moment brings neither a role nor the account back."""
    before = office.hire(duties=(Duty.SENIOR, Duty.RULES))
    office.desk.disable(SHELL, before.id)
    office.desk.change(SHELL, before.id, PersonChange(duties=frozenset({Duty.VIEWER})))
    keeper = office.keeper
    after = keeper.change(principal(before), before, PersonChange(zone="Asia/Shanghai"))
    assert (after.duties, after.zone) == ({Duty.VIEWER}, "Asia/Shanghai")
    assert after.disabled_at is not None
    (kept,) = office.desk.people(SHELL)
    assert kept == after


def test_a_password_that_an_administrator_sets_meanwhile_stays(office):
    person = office.hire()
    _, seen = office.people.find(person.id, "acme")
    office.desk.set_password(SHELL, person.id, "another good password")
    with pytest.raises(PersonRefused, match="meantime"):
        office.keeper.set_password(principal(person), person, "the password of a thief", seen)
    assert office.sign_in(password="another good password")


def test_a_password_without_end_is_wrong_and_holds_nothing_up(office, monkeypatch):
    """Characters that combine are put in order: it takes the square of their number, with nothing beside."""
    office.hire()
    lengths = []
    monkeypatch.setattr("guardian.passwords.plain", lambda text: lengths.append(len(text)) or plain(text))
    for name in ("li.wei", "nobody"):
        with pytest.raises(SignInRefused):
            office.sign_in(name, "\u0301" * 5_000 + "\u0323" * 5_000)
    assert len(lengths) == 2
    assert max(lengths) <= 1024


def test_a_password_is_the_same_however_it_was_typed(office):
    office.hire(password="Zo\u00eb said: open")
    assert office.sign_in(password="Zoe\u0308 said: open")


def test_a_flood_of_strangers_does_not_hide_what_somebody_tries(office):
    for _ in range(60):
        with contextlib.suppress(SignInRefused, SignInSlowed):
            office.sign_in("nobody")
    office.desk.forbidden(Principal("acme", "person", "p_1"), "rules.change")
    assert office.told()[-1][:3] == ("person.forbidden", "p_1", "person:acme/p_1")


def test_a_store_that_takes_nothing_lets_people_go_on_reading(office):
    class Full(Sessions):
        def touch(self, digest, now):
            raise Unavailable("its disk is full")

    office.hire()
    session = office.sign_in().session
    full = Full(office.database, Limits(idle_s=600, longest_s=3600))
    desk = ServerPeople(replace(office.desk._parts, sessions=full))
    office.now += 300
    assert desk.session(session)
    office.now += 301
    assert desk.session(session) is None


def test_a_try_that_nobody_had_time_for_takes_nothing(office, monkeypatch):
    """Or a flood of guesses would slow down whoever comes with the right password."""
    office.hire()

    def busy(*_):
        raise Unavailable("Too many people sign in at once.")

    with monkeypatch.context() as patch:
        patch.setattr(Passwords, "fits", busy)
        for _ in range(40):
            for name in ("li.wei", "nobody"):
                with pytest.raises(Unavailable):
                    office.sign_in(name)
    assert office.sign_in()
