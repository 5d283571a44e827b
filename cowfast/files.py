# SPDX-License-Identifier: MIT
"""Files that users name: read only if they are regular and of a size that fits, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from cowfast.errors import CowfastError

Name: TypeAlias = str | os.PathLike[str]
Kind: TypeAlias = type[CowfastError]


def open_regular(path: Name, error: Kind = CowfastError) -> BinaryIO:
    """Open a regular file for reading; ``error`` for anything else.

    A FIFO or a device would block or never end, so the kind is looked at before and after opening.
    """
    try:
        _refuse_irregular(path, os.stat(path).st_mode, error)
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: PTH123
    except OSError as problem:
        raise error(f"{os.fspath(path)} cannot be read: {problem.strerror}") from None
    except ValueError as problem:  # a NUL in the name
        raise error(f"{os.fspath(path)!r} cannot be read: {problem}") from None
    try:
        _refuse_irregular(path, os.fstat(file.fileno()).st_mode, error)
    except CowfastError:
        file.close()
        raise
    return file


def read_whole(path: Name, limit: int, error: Kind = CowfastError) -> bytes:
    """Return the contents of a regular file of at most ``limit`` bytes; ``error`` if it is larger or cannot be read."""
    with open_regular(path, error) as file:
        try:
            data = file.read(limit + 1)
        except OSError as problem:
            raise error(f"{os.fspath(path)} cannot be read: {problem.strerror}") from None
    if len(data) > limit:
        raise error(f"{os.fspath(path)} is larger than {limit:,} bytes, more than such a file can need")
    return data


def read_toml(path: Name, limit: int, error: Kind = CowfastError) -> dict[str, Any]:
    """Return what a TOML file of at most ``limit`` bytes says; ``error`` if it is none."""
    import tomllib

    data = read_whole(path, limit, error)
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as problem:  # ValueError: of TOML, of UTF-8, of a number with too many digits
        raise error(f"{os.fspath(path)}: not TOML: {problem}") from None


def part_of(path: Path) -> Path:
    """Return the name, not used by anybody, under which ``path`` is written until it is whole.

    Whoever writes it sees to its removal (:func:`unlink`) before he opens it: a signal may come between any two steps.
    """
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")


def start(path: Path, part: Path, error: Kind = CowfastError) -> BinaryIO:
    """Open ``part`` for what is to take the place of ``path``; ``error`` if that cannot be written."""
    try:
        mode = _mode(path)
        if mode is not None and not stat.S_ISREG(mode):
            raise error(f"{path} is not a regular file: name a file to write")
        if mode is not None and not os.access(path, os.W_OK):
            raise error(f"{path} cannot be written: it is read-only")
        file = open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb")  # noqa: PTH123
        if mode is not None:
            with contextlib.suppress(OSError):  # not everywhere are there modes
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
        return file
    except (OSError, ValueError) as problem:
        raise error(f"{path} cannot be written: {getattr(problem, 'strerror', None) or problem}") from None


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
def replacing(path: Name, error: Kind = CowfastError) -> Iterator[BinaryIO]:
    """A binary file that takes the place of ``path`` at the end of the block, if nothing is raised in it."""
    place = Path(os.path.realpath(path))
    part = part_of(place)
    file = None
    try:
        file = start(place, part, error)
        yield file
        finish(part, file, place)
    except OSError as problem:
        raise error(f"{place} cannot be written: {problem.strerror or problem}; nothing was changed") from None
    finally:
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
        unlink(part)


def _mode(path: Path) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _refuse_irregular(path: Name, mode: int, error: Kind) -> None:
    if stat.S_ISDIR(mode):
        raise error(f"{os.fspath(path)} is a directory; name a file in it")
    if not stat.S_ISREG(mode):
        raise error(f"{os.fspath(path)} is not a regular file (a FIFO, a device?): write it to a file first")
