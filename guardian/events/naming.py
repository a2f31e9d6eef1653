"""What types of events and their schemas are called."""

from __future__ import annotations

from guardian.core.calls import CallEventType

VERSION = 1
"""Of every type. A change that receivers of today could not bear raises it for the type it concerns."""


def schema_name(kind: CallEventType) -> str:
    """`violation.detected.v1`: the versioned type without its prefix."""
    return f"{kind.value}.v{VERSION}"


def schema_address(kind: CallEventType, base: str) -> str:
    """What `dataschema` says. base: where the files are published; empty: a name only, as in the files."""
    name = schema_name(kind)
    return f"{base}/{name}.json" if base else f"urn:guardian:event:{name}"
