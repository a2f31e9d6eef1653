"""Every refusal is an RFC 9457 problem document in plain words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from guardian.core.errors import (
    CallExists,
    CallFailed,
    CaseConflict,
    CaseRefused,
    EvidenceDamaged,
    EvidenceGone,
    EvidenceKept,
    GuardianError,
    HostFull,
    NoSuchCall,
    NoSuchCase,
    NoSuchEndpoint,
    NoSuchEvent,
    NoSuchEvidence,
    NoSuchPerson,
    NoSuchRule,
    OfferRefused,
    PersonRefused,
    RuleRefused,
    RulesKept,
    SfuRefused,
    SignInRefused,
    SignInSlowed,
    Unavailable,
)
from guardian.core.rulebook import RulesRefused

MEDIA_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[GuardianError], int], ...] = (
    (NoSuchCall, 404),
    (NoSuchRule, 404),
    (NoSuchEvent, 404),
    (NoSuchEndpoint, 404),
    (NoSuchEvidence, 404),
    (NoSuchCase, 404),
    (CaseRefused, 403),
    (CaseConflict, 409),
    (NoSuchPerson, 404),
    (PersonRefused, 422),
    (SignInRefused, 403),
    (SignInSlowed, 429),
    (EvidenceGone, 410),
    (EvidenceKept, 409),
    (EvidenceDamaged, 500),
    (RulesKept, 403),
    (RuleRefused, 422),
    (RulesRefused, 422),
    (CallExists, 409),
    (HostFull, 503),
    (OfferRefused, 400),
    (SfuRefused, 502),
    (CallFailed, 502),
    (Unavailable, 503),
)
_DETAIL = {
    400: "The request cannot be understood.",
    404: "There is nothing at this address.",
    500: "Something went wrong inside Guardian; the server goes on.",
}


class Problem(Exception):
    """A refusal. extra: members beside type, title, status and detail."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase


def document(problem: Problem) -> bytes:
    """The problem as JSON in UTF-8."""
    body = {
        **problem.extra,
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
    }
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def response(problem: Problem) -> Response:
    """The problem as an answer."""
    return Response(document(problem), problem.status, problem.headers, MEDIA_TYPE)


def of_error(error: GuardianError) -> Problem:
    """The problem an error of the core stands for."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    headers = {}
    if isinstance(error, HostFull | SignInSlowed):
        headers["Retry-After"] = str(max(1, error.retry_after))
    elif isinstance(error, Unavailable):
        headers["Retry-After"] = "5"
    extra: dict[str, Any] = {}
    if isinstance(error, RulesRefused):
        extra = {"errors": [asdict(fault) for fault in error.faults]}
    elif isinstance(error, CaseConflict):
        extra = {"news": error.news}
    return Problem(status or 500, str(error) if status is not None else _DETAIL[500], headers, extra)


Answering = Callable[[Request, Problem], Response]


def install(app: FastAPI, routes: Sequence[BaseRoute], answer: Answering) -> None:
    """Answers everything that goes wrong in the application with a problem. routes: all there are."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer(request, error)

    async def guardian(request: Request, error: Exception) -> Response:
        assert isinstance(error, GuardianError)
        return answer(request, of_error(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        detail = _DETAIL.get(error.status_code, str(error.detail))
        if error.status_code == 405:
            allowed = _allowed(routes, request)
            headers = {"Allow": ", ".join(allowed)}
            detail = f"{request.method} cannot be used here; use {' or '.join(allowed)}."
        return answer(request, Problem(error.status_code, detail, headers))

    async def unforeseen(request: Request, __: Exception) -> Response:
        # The framework raises it again, so that the gate logs it.
        return answer(request, Problem(500, _DETAIL[500]))

    app.add_exception_handler(Exception, unforeseen)
    app.add_exception_handler(Problem, refused)
    app.add_exception_handler(GuardianError, guardian)
    app.add_exception_handler(HTTPException, http)


def _allowed(routes: Sequence[BaseRoute], request: Request) -> list[str]:
    methods: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods)
