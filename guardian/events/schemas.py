"""JSON Schema (2020-12) of each event, made from the models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, create_model

from guardian.core.calls import CallEventType
from guardian.core.errors import Unavailable
from guardian.events.model_parts import Event
from guardian.events.models import DATA
from guardian.events.naming import VERSION, schema_address, schema_name

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(kind: CallEventType) -> dict[str, Any]:
    """The schema of the whole event."""
    pattern = rf"^[a-z0-9.-]+\.{kind.value.replace('.', chr(92) + '.')}\.v{VERSION}$"
    model = create_model(
        schema_name(kind), __base__=Event, type=(str, Field(pattern=pattern)), data=(DATA[kind], ...)
    )
    made = model.model_json_schema()
    return {"$schema": DIALECT, "$id": schema_address(kind, ""), **made}


def schemas() -> Mapping[str, str]:
    """File name -> text, of every type."""
    return {
        f"{schema_name(kind)}.json": json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"
        for kind in CallEventType
    }


def write_schemas(folder: Path) -> list[Path]:
    """Writes all of them; returns the files. Unavailable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, text in schemas().items():
            path = folder / name
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise Unavailable(f"{folder} cannot be written; name another folder.") from error
    return written
