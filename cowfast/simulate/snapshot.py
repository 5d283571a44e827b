# SPDX-License-Identifier: MIT
"""Snapshots of the fast engine: its tables in one ``.npz`` file, with what they belong to and a checksum."""

from __future__ import annotations

import hashlib
import os
import struct
import tokenize
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from cowfast._version import __version__
from cowfast.errors import SpecError
from cowfast.files import open_regular, replacing
from cowfast.machine import Machine
from cowfast.policy import Policy, policy_from_dict

_ABOUT = "about"
_DAMAGED = (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, OverflowError, MemoryError, NotImplementedError,
            RuntimeError, SyntaxError, struct.error, tokenize.TokenError, zipfile.BadZipFile, msgspec.MsgspecError)  # fmt: skip
"""What zipfile and numpy raise at bytes that are not theirs."""


class KeptRun(msgspec.Struct):
    """The run that a simulator was taken from before its end."""

    spec_hash: str
    seconds: float
    samples: list[dict[str, int]]


class Snapshot(NamedTuple):
    """What :func:`save` wrote."""

    policy: Policy
    machine: Machine
    arrays: dict[str, np.ndarray]
    run: KeptRun | None


class _About(msgspec.Struct):
    """What the tables belong to."""

    cowfast: str
    policy: dict[str, Any]
    machine: dict[str, Any]
    sha256: str
    run: KeptRun | None = None


def save(
    path: str | os.PathLike[str],
    policy: Policy,
    machine: Machine,
    arrays: Mapping[str, np.ndarray],
    run: KeptRun | None = None,
) -> None:
    """Write arrays, policy and machine; the file appears whole or not at all."""
    about = _About(__version__, policy.to_dict(), machine.to_dict(), _checksum(arrays), run)
    text = np.frombuffer(msgspec.json.encode(about), np.uint8)
    with replacing(path, SpecError) as file:
        np.savez(file, **{_ABOUT: text}, **arrays)  # type: ignore[arg-type]


def load(path: str | os.PathLike[str]) -> Snapshot:
    """Return what :func:`save` wrote; SpecError if it is not that."""
    if not Path(path).exists():
        raise SpecError(f"{os.fspath(path)}: no such file")
    try:
        with open_regular(path, SpecError) as stored:
            with zipfile.ZipFile(stored) as archive:
                if any(each.compress_type != zipfile.ZIP_STORED or each.flag_bits & 1 for each in archive.infolist()):
                    raise ValueError("its tables are compressed or encrypted")  # a bomb unpacks to anything
            stored.seek(0)
            with np.load(stored, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        about = msgspec.json.decode(arrays.pop(_ABOUT).tobytes(), type=_About)
    except _DAMAGED as error:
        raise SpecError(f"{path} is not a snapshot, or damaged ({error})") from error
    if about.cowfast != __version__:
        raise SpecError(f"{path} is a snapshot of cowfast {about.cowfast}; this is {__version__}")
    if about.sha256 != _checksum(arrays):
        raise SpecError(f"{path} is damaged: its checksum is wrong")
    return Snapshot(policy_from_dict(about.policy), Machine.from_dict(about.machine), arrays, about.run)


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + str(arrays[name].dtype).encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
