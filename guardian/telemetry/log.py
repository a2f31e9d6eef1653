"""Logs: one JSON object a line on stderr, with nothing said, seen or secret in it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.types import EventDict, Processor

from guardian.core.masking import masked_values
from guardian.telemetry.repeats import Quiet

_SECRET = frozenset(
    {
        "authorization", "body", "credential", "fragment", "headers", "heard", "key", "offer", "answer",
        "phrase", "sdp", "secret", "text", "token", "transcript", "words", "cookie", "password",
    }
)  # fmt: skip
_OWN = frozenset({"_record", "_from_structlog", "_logger", "_name"})
_LONGEST = 500


def without_secrets(_: Any, __: str, event: EventDict) -> EventDict:
    """Drops the values of keys that carry speech, pictures, descriptions or secrets; masks long numbers."""
    return {key: value if key in _OWN else _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    if key.lower() in _SECRET:
        return "[not logged]"
    if isinstance(value, Mapping):
        return {str(k): _clean(str(k), v) for k, v in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, str):
        # A session description that got into a message is no message.
        cleaned = "[not logged]" if "v=0\r\n" in value or "a=candidate:" in value else value[:_LONGEST]
        return masked_values(cleaned)
    return value if isinstance(value, bool | int | float | None) else masked_values(str(value)[:_LONGEST])


def _exception_kind(_: Any, __: str, event: EventDict) -> EventDict:
    """An exception is told by its type and place: its message may quote what it worked on."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if info and info[1] is not None:
        event["error"] = info[0].__name__
        frames = []
        trace = info[2]
        while trace is not None:
            frames.append(f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
            trace = trace.tb_next
        event["where"] = " > ".join(frames[-8:])
    return event


_SHARED: tuple[Processor, ...] = (
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _exception_kind,
    without_secrets,
)
_LOGGER: Processor = structlog.stdlib.add_logger_name
"""As `logger`."""


def configure() -> None:
    """Sends every log of this process, its libraries' too, through the same filter to stderr."""
    handler = Quiet()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=(_LOGGER, structlog.stdlib.ExtraAdder(), *_SHARED),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("guardian").setLevel(logging.INFO)


def logger(name: str) -> Any:
    """A structured logger: `logger("guardian.server").info("listening", port=8080)`.

    Its filter works whether or not `configure` was called.
    """
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[_LOGGER, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
