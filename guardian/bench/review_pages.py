"""How soon the pages of the console are there: from the server by HTTP, and in a browser that draws them."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import httpx
from starlette.routing import Route

from guardian.core.people import Duty
from guardian.core.people_desk import NewPerson
from guardian.demo.own_server import running_server, settings_file
from guardian.people_offline import doer, opened_people
from guardian.settings import load
from guardian.web.app import ROUTERS
from guardian.web.sessions import SESSION, SIGN_IN, TOKEN_FIELD, TOKEN_HEADER, token_of

FIRST_MS = 1000.0
"""The first content of a page is there by then, after it was asked for."""
_EVERYTHING = frozenset(Duty) - {Duty.AUDITOR}
_OTHERS = 20
"""How many objects of a kind are asked for in turn."""
_DRAWN = 5
_ANSWER_S = 60.0
_TOKEN = re.compile(rf'name="{TOKEN_FIELD}" value="([0-9a-f]+)"')
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_PAINT = """() => new Promise((done) => {
  const first = (list) => list.getEntriesByName("first-contentful-paint")[0];
  if (first(performance)) return done(first(performance).startTime);
  const look = (list) => first(list) && done(first(list).startTime);
  new PerformanceObserver(look).observe({ type: "paint", buffered: true });
})"""

Timed = Mapping[str, float]
Times = list[tuple[str, Timed, float]]
"""What was asked for, p50, p95 and max in ms, and the most that p95 may be."""


@dataclass(frozen=True, slots=True)
class Served:
    """A server with a store to measure, and somebody who may see every page.

    folder: as `running_server` has it; url: of the store where that is PostgreSQL.
    """

    folder: Path
    tenant: str
    url: str = ""


def routes() -> list[str]:
    """The path of everything of the console that a browser may be sent to, as the routers have it."""
    return sorted(
        {
            route.path
            for router in ROUTERS
            for route in router.routes
            if isinstance(route, Route)
            and route.path.startswith("/review")
            and "GET" in (route.methods or ())
        }
    )


async def measured(served: Served, rounds: int, most_ms: float) -> Times:
    """Every page by HTTP, `rounds` times each, and as Chromium draws it where there is one."""
    settings = {
        "GUARDIAN_SERVER__REQUESTS_PER_S": "100000",
        "GUARDIAN_SERVER__REQUESTS_BURST": "100000",
        "GUARDIAN_STORE__URL": served.url,
    }
    name, password = f"measuring-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    async with running_server(served.folder, settings) as url:
        await asyncio.to_thread(_hire, served, name, password)
        async with httpx.AsyncClient(base_url=url, timeout=_ANSWER_S, trust_env=False) as browser:
            await _sign_in(browser, name, password)
            pages = [page async for page in _pages(browser)]
            found: Times = [
                (f"GET {path}", await _timed(lambda at=at: _loaded(browser, next(at)), rounds), most_ms)  # type: ignore[misc]  # bound as it is now
                for path, at in pages
            ]
            async with _drawing(url, browser.cookies[SESSION]) as drawn:
                if drawn is not None:
                    for path, at in pages:
                        first = [await drawn(next(at)) for _ in range(_DRAWN)]
                        found.append((f"{path}, first content", figures(first), FIRST_MS))
    return found


def _hire(served: Served, name: str, password: str) -> None:
    with opened_people(load(settings_file(served.folder), {"store": {"url": served.url}})) as offline:
        new = NewPerson(served.tenant, name, name, _EVERYTHING)
        offline.keeper.add(doer(served.tenant), new, password)


async def _sign_in(browser: httpx.AsyncClient, name: str, password: str) -> None:
    form = await browser.get(SIGN_IN)
    token = _TOKEN.search(form.text)
    assert token is not None, "the form for signing in has a token"
    fields = {"name": name, "password": password, TOKEN_FIELD: token[1], "next": ""}
    await browser.post(SIGN_IN, data=fields)
    assert SESSION in browser.cookies, "an account just made can sign in"


async def _pages(browser: httpx.AsyncClient) -> AsyncIterator[tuple[str, Iterator[str]]]:
    """What can be looked at: the path as the routers have it, and addresses to ask for in turn."""
    objects = await _objects(browser)
    for path in routes():
        names = re.findall(r"{(\w+)(?::\w+)?}", path)
        if any(not objects.get(name) for name in names):
            continue
        turns = zip(*(objects[name] for name in names), strict=False) if names else [()]
        addresses = [re.sub(r"{(\w+)(?::\w+)?}", "{}", path).format(*turn) for turn in turns]
        async with browser.stream("GET", addresses[0]) as answer:
            is_page = answer.headers.get("content-type", "").startswith("text/html")
        if is_page:
            yield path, cycle(addresses)


async def _objects(browser: httpx.AsyncClient) -> Mapping[str, Sequence[str]]:
    """By the name of the parameter, what there is of it."""
    cases, over = [
        [one["case_id"] for one in (await browser.get(f"/v1/cases?limit={_OTHERS}&{which}")).json()["cases"]]
        for which in ("state=waiting", "state=decided")
    ]
    headers = {TOKEN_HEADER: token_of(browser.cookies[SESSION])}
    appeals = [
        await browser.post(
            "/v1/appeals", json={"case_id": one, "role": "merchant", "statement": "No."}, headers=headers
        )
        for one in over
    ]
    people, rules = (await browser.get("/v1/people")).json(), (await browser.get("/v1/rules")).json()
    return {
        "case_id": cases,
        "appeal_id": [one.json()["appeal_id"] for one in appeals if one.is_success],
        "account_id": [one["id"] for one in people["people"]],
        "rule_id": [one["id"] for one in rules["rules"][:_OTHERS]],
    }


async def _loaded(browser: httpx.AsyncClient, address: str) -> None:
    (await browser.get(address)).raise_for_status()


async def _timed(ask: Callable[[], Awaitable[None]], rounds: int) -> Timed:
    await ask()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    return figures(took)


def figures(took: Sequence[float]) -> Timed:
    """p50, p95 and max of milliseconds."""
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "max": round(max(took), 1)}


@asynccontextmanager
async def _drawing(url: str, session: str) -> AsyncIterator[Callable[[str], Awaitable[float]] | None]:
    """drawn(address) -> ms until a browser with an empty cache shows something; None where there is none."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        program = None
    if program is None:
        yield None
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])

        async def drawn(address: str) -> float:
            context = await browser.new_context(base_url=url)
            await context.add_cookies([{"name": SESSION, "value": session, "url": url}])
            page = await context.new_page()
            await page.goto(address)
            first = float(await page.evaluate(_PAINT))
            await context.close()
            return first

        try:
            yield drawn
        finally:
            await browser.close()
