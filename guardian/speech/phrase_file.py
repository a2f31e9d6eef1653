"""Files of lines to judge: plain text, or a table that says what is expected of each."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from guardian.core.errors import MediaError
from guardian.speech.backtest import Line

_EXPECTED = {"violation": True, "benign": False}


def read_lines(path: Path) -> list[Line]:
    """The lines of a file. A first line with tabs and the column `phrase` makes it a table, in which
    `expected` may say `violation` or `benign`. Numbers are those of the file. MediaError."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise MediaError(f"{path} cannot be read ({why}); name a file of lines.") from error
    head, _, _ = text.partition("\n")
    columns = head.rstrip("\r").split("\t")
    if len(columns) < 2 or "phrase" not in columns:
        plain = [line.rstrip("\r") for line in text.split("\n")]
        return [Line(number, line) for number, line in enumerate(plain, 1) if line.strip()]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        return [
            Line(reader.line_num, row["phrase"] or "", _EXPECTED.get(row.get("expected") or ""))
            for row in reader
            if (row["phrase"] or "").strip()
        ]
    except csv.Error as error:
        raise MediaError(f"{path} line {reader.line_num} is no row of a table ({error}).") from error
