"""YAML as rule files use it, read into a tree whose every part knows its line.

Events instead of a loader: nothing is constructed, nesting costs no stack, and every scalar stays the text
it was written as, so that `off`, `no` and `1` mean what they say. Aliases, tags and further documents are
refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from guardian.core.rulebook import RuleFault, RulesRefused

DEEPEST = 16
"""Levels of nesting a file may have; rules need five."""

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, slots=True)
class Text:
    """One scalar as it is written; empty for `key:` without a value."""

    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    parts: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping: key -> (line of the key, value)."""

    parts: Mapping[str, tuple[int, Node]]
    line: int


Node = Text | Items | Table


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come. key: the one whose value is due."""

    line: int
    is_table: bool
    items: list[Node] = field(default_factory=list)
    pairs: dict[str, tuple[int, Node]] = field(default_factory=dict)
    key: Text | None = None

    def closed(self) -> Node:
        return Table(self.pairs, self.line) if self.is_table else Items(tuple(self.items), self.line)


class _Wrong(Exception):
    def __init__(self, line: int, detail: str) -> None:
        super().__init__(detail)
        self.line, self.detail = line, detail


def parsed(file: str, text: str) -> Node:
    """The tree of one file; an empty table for an empty file. RulesRefused names the line."""
    try:
        return _tree(text)
    except _Wrong as wrong:
        fault = RuleFault(file, wrong.line, "", wrong.detail)
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        fault = RuleFault(file, *_what(error, text))
    raise RulesRefused((fault,))


def _what(error: Exception, text: str) -> tuple[int, str, str]:
    """(line, no rule, detail) of what a YAML parser says."""
    mark = getattr(error, "problem_mark", None)
    position = getattr(error, "position", None)
    if mark is not None:
        # What is missing at the end is missed on a line after the last one.
        line = min(int(mark.line), text.rstrip().count("\n")) + 1
    elif isinstance(position, int):
        # In characters or in bytes, as the parser has it: good enough to find a control character by.
        line = text.encode("utf-8", "replace")[:position].count(b"\n") + 1
    else:
        line = 1
    problem = getattr(error, "problem", None) or "it holds characters that YAML does not allow"
    return line, "", f"this is not valid YAML ({' '.join(str(problem).split())}); correct it."


def _tree(text: str) -> Node:
    """Raises what the parser raises, and _Wrong."""
    stack: list[_Open] = []
    root: Node | None = None
    for event, line in _events(text):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(stack) >= DEEPEST:
                raise _Wrong(line, "it is nested too deeply; correct it.")
            _expect_value(stack, line)
            stack.append(_Open(line, isinstance(event, yaml.MappingStartEvent)))
            continue
        if isinstance(event, yaml.ScalarEvent):
            done: Node = Text(str(event.value), line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            done = stack.pop().closed()
        else:
            continue
        if stack:
            _put(stack[-1], done)
        else:
            root = done
    if root is None or (isinstance(root, Text) and not root.value):
        return Table({}, 1)
    return root


def _events(text: str) -> Iterator[tuple[Any, int]]:
    documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark is not None else 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _Wrong(line, "a second document begins here (---); put it into a file of its own.")
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Wrong(line, "anchors and aliases (&, *) are not known here; put quotes round the text.")
        elif getattr(event, "tag", None):
            raise _Wrong(line, "tags (!) are not known here; put quotes round the text.")
        yield event, line


def _expect_value(stack: list[_Open], line: int) -> None:
    if stack and stack[-1].is_table and stack[-1].key is None:
        raise _Wrong(line, "a key must be a text; write it as `key: value`.")


def _put(inside: _Open, done: Node) -> None:
    if not inside.is_table:
        inside.items.append(done)
    elif inside.key is None:
        assert isinstance(done, Text)
        if done.value in inside.pairs:
            raise _Wrong(done.line, f"the key {done.value[:80]!r} is there twice; remove one of them.")
        inside.key = done
    else:
        inside.pairs[inside.key.value] = (inside.key.line, done)
        inside.key = None
