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
from typing import Any

import msgspec
import numpy as np

from cowfast._version import __version__
from cowfast.errors import SpecError
from cowfast.machine import Machine
from cowfast.policy import Policy, policy_from_dict

_ABOUT = "about"
_DAMAGED = (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, OverflowError, MemoryError, NotImplementedError,
            RuntimeError, SyntaxError, struct.error, tokenize.TokenError, zipfile.BadZipFile, msgspec.MsgspecError)  # fmt: skip
"""What zipfile and numpy raise at bytes that are not theirs."""


class _About(msgspec.Struct):
    """What the tables belong to."""

    cowfast: str
    policy: dict[str, Any]
    machine: dict[str, Any]
    sha256: str


def save(path: str | os.PathLike[str], policy: Policy, machine: Machine, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays, policy and machine; the file appears whole or not at all."""
    about = {
        "cowfast": __version__,
        "policy": policy.to_dict(),
        "machine": machine.to_dict(),
        "sha256": _checksum(arrays),
    }
    text = np.frombuffer(msgspec.json.encode(about), np.uint8)
    partial = Path(f"{os.fspath(path)}.partial")
    with partial.open("wb") as file:
        np.savez(file, **{_ABOUT: text}, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def load(path: str | os.PathLike[str]) -> tuple[Policy, Machine, dict[str, np.ndarray]]:
    """Return what :func:`save` wrote; SpecError if it is not that."""
    try:
        with zipfile.ZipFile(path) as file:
            if any(each.compress_type != zipfile.ZIP_STORED or each.flag_bits & 1 for each in file.infolist()):
                raise ValueError("its tables are compressed or encrypted")  # a bomb unpacks to anything
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = msgspec.json.decode(arrays.pop(_ABOUT).tobytes(), type=_About)
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file") from None
    except _DAMAGED as error:
        raise SpecError(f"{path} is not a snapshot, or damaged ({error})") from error
    if about.cowfast != __version__:
        raise SpecError(f"{path} is a snapshot of cowfast {about.cowfast}; this is {__version__}")
    if about.sha256 != _checksum(arrays):
        raise SpecError(f"{path} is damaged: its checksum is wrong")
    return policy_from_dict(about.policy), Machine.from_dict(about.machine), arrays


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + str(arrays[name].dtype).encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
