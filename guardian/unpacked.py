"""Weights that come as a zip archive, as the folder they are used from."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

from guardian.core.errors import ModelMissing

_CHUNK = 1 << 20


def unpacked(archive: Path, weights: Path) -> Path:
    """The folder that a verified archive (with one folder in it, named as the archive is) holds.

    It lies beside the archive, else below `weights`, the weights folder; it is unpacked there when it is not
    whole. Every file of it is compared with the archive. ModelMissing when that cannot be done.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            places = (archive.parent, weights / archive.parent.name)
            for place in places:
                if _whole(packed, place):
                    return place / archive.stem
            for place in places:
                if _unpack(packed, place, archive.stem):
                    return place / archive.stem
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelMissing(
            f"{archive} cannot be unpacked ({type(error).__name__}); bring it anew."
        ) from error
    raise ModelMissing(
        f"{archive} has to be unpacked and neither its folder nor {weights} can be written; "
        "name another weights folder with GUARDIAN_MODELS."
    )


def _whole(packed: zipfile.ZipFile, place: Path) -> bool:
    for member in packed.infolist():
        path = place / member.filename
        if not member.is_dir() and not (path.is_file() and _same(path, member)):
            return False
    return True


def _same(path: Path, member: zipfile.ZipInfo) -> bool:
    if path.stat().st_size != member.file_size:
        return False
    check = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            check = zlib.crc32(chunk, check)
    return check == member.CRC


def _unpack(packed: zipfile.ZipFile, place: Path, name: str) -> bool:
    """Unpacks whole or not at all; False where `place` cannot be written."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=place, prefix=".partial-"))
    except OSError:
        return False
    try:
        packed.extractall(temporary)
        target = place / name
        if target.exists():
            shutil.rmtree(target)
        try:
            os.replace(temporary / name, target)
        except OSError:
            return _whole(packed, place)  # Another process was faster.
        return True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
