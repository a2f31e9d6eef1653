"""Guessing is slowed down, and nobody is locked out."""

import pytest

from guardian.core.slowing import Slowing, known, place, stranger


class Watch:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def slowing(watch):
    return Slowing(watch)


def test_a_name_has_ten_tries_and_then_one_a_minute(slowing, watch):
    tries = [slowing.take(stranger("li.wei", f"192.0.2.{number}")) for number in range(11)]
    assert tries[:10] == [0.0] * 10
    assert tries[10] == pytest.approx(60)
    watch.now += 61
    assert slowing.take(stranger("li.wei", "203.0.113.1")) == 0
    assert slowing.take(stranger("li.wei", "203.0.113.2")) > 0
    watch.now += 86_400
    assert [slowing.take(stranger("li.wei", "203.0.113.9")) for _ in range(10)] == [0.0] * 10


def test_an_address_has_thirty_tries_over_all_names(slowing):
    tries = [slowing.take(stranger(f"name{number}", "192.0.2.1")) for number in range(31)]
    assert tries[:30] == [0.0] * 30
    assert tries[30] > 0
    assert slowing.take(stranger("another", "192.0.2.2")) == 0


def test_a_known_browser_does_not_notice_a_flood(slowing):
    for number in range(100):
        slowing.take(stranger("li.wei", f"192.0.2.{number}"))
    assert slowing.take(known("p_1", "home")) == 0
    assert all(slowing.take(known("p_1", "home")) == 0 for _ in range(9))
    assert slowing.take(known("p_1", "home")) > 0
    assert slowing.take(known("p_1", "office")) == 0


def test_a_right_password_takes_nothing(slowing):
    for _ in range(100):
        pace = stranger("li.wei", "192.0.2.1")
        assert slowing.take(pace) == 0
        slowing.give_back(pace)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", ""),
    ],
)
def test_an_address_is_what_one_subscriber_has(address, expected):
    assert place(address) == expected
