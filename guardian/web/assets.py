"""`/static`: scripts, styles and the icon of our pages."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from guardian.web.problems import Problem

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FILES = {path.name: path for path in _FOLDER.iterdir() if path.suffix in _TYPES}


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """One of the files that came with this version."""
    path = _FILES.get(name)
    if path is None:
        raise Problem(404, "There is nothing at this address.")
    return FileResponse(path, media_type=_TYPES[path.suffix])
