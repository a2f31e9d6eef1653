"""Signing in and out over HTTP, and what attackers would make of it."""

import re
from urllib.parse import quote

import httpx
import pytest

from guardian.core.people import Duty
from guardian.store.audit import AuditLog
from guardian.store.upgrade import open_store
from guardian.web.sessions import safe_next
from tests.staff import PASSWORD, Staff

INLINE = re.compile(r"<script(?! type=\"module\" src=\"/static/)|<style|\son\w+=|\sstyle=")
FORM = {"name": "li.wei", "password": PASSWORD}


@pytest.fixture
def staff(server):
    with Staff(server.settings) as made:
        yield made


@pytest.fixture
def li(staff):
    return staff.hire(Duty.REVIEWER, name="li.wei", display="Li Wei")


@pytest.fixture
def browser(server):
    with httpx.Client(base_url=server.url, trust_env=False, timeout=20) as client:
        yield client


def token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found[1]


def sign_in(browser, next_="", **fields) -> httpx.Response:
    page = browser.get("/review/sign-in", params={"next": next_} if next_ else {})
    return browser.post("/review/sign-in", data={**FORM, "next": next_, "csrf": token(page), **fields})


def test_somebody_signs_in_sees_their_account_and_signs_out(browser, li):
    asked = browser.get("/review")
    assert (asked.status_code, asked.headers["location"]) == (303, "/review/sign-in?next=%2Freview")
    done = sign_in(browser)
    assert (done.status_code, done.headers["location"]) == (303, "/review")
    page = browser.get("/review/account")
    assert page.status_code == 200
    assert "Li Wei" in page.text
    assert browser.get("/v1/me").json()["permissions"].count("cases.decide") == 1
    assert browser.get("/review/sign-in").headers["location"] == "/review"
    left = browser.post("/review/sign-out", data={"csrf": token(page)})
    assert (left.status_code, left.headers["location"]) == (303, "/review/sign-in")
    assert browser.get("/review/account").status_code == 303
    assert browser.get("/v1/me").status_code == 401


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(browser, li):
    cookies = sign_in(browser).headers.get_list("set-cookie")
    assert {cookie.partition("=")[0] for cookie in cookies} == {
        "guardian_session", "guardian_browser", "guardian_form",
    }  # fmt: skip
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/;" in cookie
        assert "Secure" not in cookie
    (session,) = (cookie for cookie in cookies if cookie.startswith("guardian_session"))
    assert "Max-Age" not in session


@pytest.mark.parametrize(
    "sections",
    [{"server": {"public_url": "https://guardian.example"}}, {"console": {"secure_cookie": "always"}}],
)
def test_with_https_cookies_are_for_https_and_this_host_only(serve, sections):
    server = serve(**sections)
    page = server.client.get("/review/sign-in")
    assert page.headers["set-cookie"].startswith("__Host-guardian_form=")
    assert "Secure" in page.headers["set-cookie"]
    planted = {"guardian_form": "a" * 43, "guardian_session": "b" * 43}
    again = httpx.get(f"{server.url}/review/sign-in", cookies=planted, trust_env=False)
    assert token(again) != token(httpx.get(f"{server.url}/review/sign-in", trust_env=False))
    assert "a" * 43 not in again.headers["set-cookie"]


def test_every_page_comes_with_a_strict_policy(browser, li):
    pages = [browser.get("/review/sign-in")]
    sign_in(browser)
    pages += [browser.get("/review/account"), browser.post("/review/account", data={"zone": "Mars"})]
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action" in policy or page.status_code == 403
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["referrer-policy"] in ("same-origin", "no-referrer")
        assert page.headers["x-content-type-options"] == "nosniff"
        assert not re.search(
            r"<script(?! type=\"module\" src=\"/static/)|<style|\son\w+=|\sstyle=", page.text
        )


def test_a_wrong_password_and_an_unknown_name_look_the_same(browser, li):
    wrong = sign_in(browser, password="not the one at all")
    unknown = sign_in(browser, name="nobody")
    assert wrong.status_code == unknown.status_code == 403
    assert re.sub(r"[0-9a-f]{64}", "", wrong.text) == re.sub(r"[0-9a-f]{64}", "", unknown.text)
    assert "do not fit" in wrong.text
    assert "guardian_session" not in wrong.headers.get("set-cookie", "")


def test_guessing_is_slowed_down_in_plain_words(browser, li):
    for _ in range(10):
        assert sign_in(browser, password="not the one at all").status_code == 403
    slowed = sign_in(browser)
    assert slowed.status_code == 429
    assert 0 < int(slowed.headers["retry-after"]) <= 60
    assert "Too many tries" in slowed.text


def test_a_session_that_was_planted_is_never_signed_in(browser, server, staff, li):
    """Session fixation: what an attacker put into the browser is not what is signed in."""
    planted = "x" * 43
    browser.cookies.set("guardian_session", planted, domain="127.0.0.1")
    sign_in(browser)
    mine = browser.cookies["guardian_session"]
    assert mine != planted
    stolen = httpx.get(f"{server.url}/v1/me", cookies={"guardian_session": planted}, trust_env=False)
    assert stolen.status_code == 401
    old = mine
    page = httpx.get(f"{server.url}/review/sign-in", trust_env=False)
    cookies = {"guardian_session": old, "guardian_form": page.cookies["guardian_form"]}
    data = {**FORM, "csrf": token(page)}
    httpx.post(f"{server.url}/review/sign-in", cookies=cookies, data=data, trust_env=False)
    assert browser.get("/v1/me").status_code == 401


def test_the_form_for_signing_in_cannot_be_forged(browser, server, li):
    page = browser.get("/review/sign-in")
    for data, cookies in (
        (FORM, dict(browser.cookies)),
        ({**FORM, "csrf": "0" * 64}, dict(browser.cookies)),
        ({**FORM, "csrf": token(page)}, {}),
        ({**FORM, "csrf": token(page)}, {"guardian_form": "y" * 43}),
    ):
        forged = httpx.post(f"{server.url}/review/sign-in", data=data, cookies=cookies, trust_env=False)
        assert forged.status_code == 403
        assert "guardian_session" not in forged.cookies
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        data = {**FORM, "csrf": token(page)}
        assert browser.post("/review/sign-in", data=data, headers=headers).status_code == 403


def test_requests_of_other_pages_are_refused(browser, server, staff, li, refused):
    """CSRF: neither a form nor a script of another site gets anything done."""
    with staff.client(server.url, li) as client:
        good = client.headers["x-csrf-token"]
        assert client.patch("/v1/me", json={"zone": "Asia/Shanghai"}).status_code == 200
        for headers in (
            {"x-csrf-token": ""},
            {"x-csrf-token": "0" * 64},
            {"x-csrf-token": good[:-1] + "é".encode("latin-1").decode("latin-1")},
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "same-site"},
        ):
            encoded = {name: value.encode("latin-1") for name, value in headers.items()}
            refused(client.patch("/v1/me", json={"zone": "UTC"}, headers=encoded), 403)
        del client.headers["x-csrf-token"]
        form = {"language": "zh", "zone": "UTC"}
        refused(client.post("/review/account", data=form), 403)
        refused(client.post("/review/sign-out"), 403)
        assert client.get("/v1/me").json()["zone"] == "Asia/Shanghai"
        saved = client.post("/review/account", data={**form, "csrf": good})
        assert (saved.status_code, saved.headers["location"]) == (303, "/review/account?saved=1")
        assert 'lang="zh-CN"' in client.get("/review/account").text


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example/review",
        "/\\evil.example",
        "/review/../../evil",
        "/review//evil.example",
        "/review\r\nSet-Cookie: a=b",
        "/review%0d%0aX: y",
        "javascript:alert(1)",
        "/v1/evidence",
        "/reviewer.evil.example",
        "/review@evil.example",
        "/review?next=https://evil.example",
        "/review/sign-out",
        "\u2028/review",
        "/review" + "a" * 600,
        "/review/" + "a" * 600,
    ],
)
def test_signing_in_leads_to_the_console_only(browser, li, wanted):
    """Open redirect."""
    assert sign_in(browser, next_=wanted).headers["location"] == "/review"


@pytest.mark.parametrize(
    "wanted", ["/review", "/review/account", "/review/cases/01J-x?language=zh&level=BLOCK"]
)
def test_pages_of_the_console_are_come_back_to(browser, li, wanted):
    assert safe_next(wanted) == wanted
    assert sign_in(browser, next_=wanted).headers["location"] == wanted
    browser.cookies.clear()
    page = wanted if wanted != "/review/cases/01J-x?language=zh&level=BLOCK" else "/review/account"
    assert browser.get(page).headers["location"] == f"/review/sign-in?next={quote(page, safe='')}"


@pytest.mark.parametrize(
    "display",
    ["<script>alert(1)</script>", '" onfocus=alert(1) x="', "{{ 33333*7 }}", "'><img src=x>", "</title><b>"],
)
def test_a_name_is_never_markup(server, staff, display):
    """XSS."""
    person = staff.hire(Duty.VIEWER, display=display)
    with staff.client(server.url, person) as client:
        page = client.get("/review/account").text
        assert display not in page or not set(display) & set("<>\"'")
        assert "233331" not in page
        assert client.get("/v1/me").json()["display"] == display
        assert client.get("/v1/me").headers["content-type"] == "application/json"


def test_what_was_typed_is_not_given_back(browser):
    for typed in ('"><script>alert(1)</script>', PASSWORD):
        page = sign_in(browser, name=typed, password="\x00" * 20, next_='"><script>')
        assert page.status_code == 403
        assert typed not in page.text
        assert "<script>" not in page.text
    assert "<script>" not in browser.get('/review/sign-in?next="><script>&language="><script>').text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../access.py",
        "/static/..%2faccess.py",
        "/static/%2e%2e/access.py",
        "/static//etc/passwd",
        "/static/console.css%00.js",
        "/review/../static/../parts.py",
        "/v1/people/..%2f..%2fme",
        "/v1/people/p_0000/../../me",
    ],
)
def test_no_path_leads_out(server, staff, path):
    """Path traversal."""
    with staff.client(server.url, staff.hire(Duty.ADMIN)) as client:
        status, _, body = server.raw(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n"
            f"Cookie: guardian_session={client.cookies['guardian_session']}\r\n\r\n".encode()
        )
    assert status in (404, 405)
    assert b"import" not in body


def test_odd_cookies_and_bodies_end_nothing(server, browser):
    for cookie in (
        "guardian_session=",
        f"guardian_session={'z' * 43}",
        "guardian_session=../../x; ;=;",
        "\xff=\xff",
    ):
        answer = httpx.get(
            f"{server.url}/v1/me", headers={"cookie": cookie.encode("latin-1")}, trust_env=False
        )
        assert answer.status_code == 401
    for body in (b"\xff\xfe", b"name=" + b"a" * 100_000, b"&".join(b"a=b" for _ in range(5000)), b""):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        assert browser.post("/review/sign-in", content=body, headers=headers).status_code == 403


def test_the_language_is_the_browsers_the_chosen_one_or_the_persons(server, staff, browser):
    def language(**asked):
        return re.search(r'<html lang="([\w-]+)"', browser.get("/review/sign-in", **asked).text)[1]

    for accepted, expected in (
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("fr, en;q=0.4, zh;q=0.3", "en"),
        ("en;q=0.2,zh", "zh-CN"),
        ("*", "en"),
        (",,;;q=", "en"),
    ):
        assert language(headers={"accept-language": accepted}) == expected
    assert language(params={"language": "zh"}) == "zh-CN"
    assert language(params={"language": "../en"}) == "en"
    person = staff.hire(Duty.VIEWER, language="zh")
    with staff.client(server.url, person) as client:
        assert 'lang="zh-CN"' in client.get("/review/account?language=en").text


def test_a_password_is_changed_on_the_page_and_ends_all_sessions(server, staff, li):
    with staff.client(server.url, li) as client, staff.client(server.url, li) as other:
        form = {"csrf": client.headers["x-csrf-token"], "old": PASSWORD, "new": "short"}
        weak = client.post("/review/account/password", data=form)
        assert (weak.status_code, "12 characters" in weak.text) == (422, True)
        wrong = client.post("/review/account/password", data=form | {"old": "no", "new": "x y z 1 2 3 4"})
        assert (wrong.status_code, "not the password" in wrong.text) == (422, True)
        done = client.post("/review/account/password", data=form | {"new": "x y z 1 2 3 4"})
        assert (done.status_code, done.headers["location"]) == (303, "/review/sign-in")
        assert other.get("/v1/me").status_code == 401


def test_a_switched_off_console_is_not_there(serve, refused):
    server = serve(console={"enabled": False})
    for path in ("/review", "/review/sign-in", "/review/account"):
        refused(server.client.get(path), 404)
    refused(server.client.post("/review/sign-in", data=FORM), 404)
    refused(server.client.get("/v1/me", headers={"cookie": f"guardian_session={'a' * 43}"}), 401)


def test_administrators_manage_accounts_of_their_platform(server, staff, refused):
    admin, stranger = staff.hire(Duty.ADMIN), staff.hire(Duty.VIEWER, tenant="rival")
    new = {"name": "New", "display": "New", "roles": ["viewer"], "password": PASSWORD}
    with staff.client(server.url, admin) as client:
        made = client.post("/v1/people", json=new)
        assert made.status_code == 201
        place = made.headers["location"]
        assert (made.json()["name"], "password" in made.json()) == ("new", False)
        assert {one["name"] for one in client.get("/v1/people").json()["people"]} == {admin.name, "new"}
        assert client.patch(place, json={"roles": ["rules", "senior"]}).json()["roles"] == ["rules", "senior"]
        refused(client.patch(place, json={"roles": ["auditor", "senior"]}), 422)
        refused(client.patch(place, json={"roles": ["god"]}), 422)
        refused(client.post("/v1/people", json=new), 422)
        assert client.post(f"{place}/password", json={"password": "another good one"}).status_code == 200
        assert client.post(f"{place}/disable").json()["disabled_at"]
        assert client.post(f"{place}/enable").json()["disabled_at"] is None
        refused(client.post(f"/v1/people/{admin.id}/disable"), 409)
        for method, path, body in (
            ("PATCH", "", {"roles": ["admin"]}),
            ("POST", "/password", {"password": "another good one"}),
            ("POST", "/disable", None),
            ("POST", "/enable", None),
        ):
            refused(client.request(method, f"/v1/people/{stranger.id}{path}", json=body), 404)


def test_an_auditor_sees_the_chain_and_nothing_else(server, staff, refused):
    auditor, admin = staff.hire(Duty.AUDITOR), staff.hire(Duty.ADMIN, tenant="rival")
    with staff.client(server.url, auditor) as client:
        told = client.get("/v1/audit").json()
        acts = [(link["act"], link["subject"]) for link in told["links"]]
        assert acts == [("person.signed_in", auditor.id), ("account.made", auditor.id)]
        assert told["next"] is None
        assert client.get("/v1/audit", params={"limit": 1}).json()["next"] == told["links"][0]["sequence"]
        refused(client.get("/v1/audit", params={"limit": 0}), 422)
        refused(client.get("/v1/cases"), 403)
        refused(client.get("/v1/evidence"), 403)
    with staff.client(server.url, admin) as client:
        assert auditor.id not in client.get("/v1/audit").text


def test_what_people_do_is_told_in_the_chain(server, staff, browser, li):
    sign_in(browser, password="not the one at all")
    sign_in(browser)
    assert browser.get("/v1/people").status_code == 403
    database = open_store(server.settings.store_config())
    told = [(link.act, link.actor, link.body) for link in AuditLog(database).links()]
    database.close()
    me = f"person:local/{li.id}"
    assert told == [
        ("account.made", "shell:local/test", '{"roles":["reviewer"],"tenant":"local"}'),
        ("person.turned_away", "stranger:-/-", '{"why":"password"}'),
        ("person.signed_in", me, "{}"),
        ("person.forbidden", me, '{"needed":"people.manage"}'),
    ]
