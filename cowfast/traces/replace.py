# SPDX-License-Identifier: MIT
"""A file that is there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cowfast.errors import TraceError


def start(path: Path) -> tuple[Path, BinaryIO]:
    """Open a file of another name beside ``path``, to be moved there when it is whole; TraceError if that cannot be."""
    with contextlib.suppress(FileNotFoundError):
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise TraceError(f"{path} cannot be written: {error.strerror}") from None
        if not stat.S_ISREG(mode):
            raise TraceError(f"{path} is not a regular file: name a file to write")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        return part, open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb")  # noqa: PTH123
    except (OSError, ValueError) as error:
        raise TraceError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from None


def finish(part: Path, file: BinaryIO, path: Path) -> None:
    """Put the file in its place; OSError if the disk is full."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    part.replace(path)


def unlink(part: Path) -> None:
    """Remove what was not finished."""
    with contextlib.suppress(OSError):
        part.unlink()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of ``path`` at the end of the block, if nothing is raised in it."""
    path = Path(os.path.realpath(path))
    part, file = start(path)
    try:
        yield file
        finish(part, file, path)
    except OSError as error:
        raise TraceError(f"{path} cannot be written: {error.strerror}; nothing was changed") from None
    finally:
        with contextlib.suppress(OSError):
            file.close()
        unlink(part)
