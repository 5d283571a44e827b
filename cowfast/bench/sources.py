# SPDX-License-Identifier: MIT
"""Yardsticks that come as C sources: compiled into a temporary folder as their Makefile would."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

from cowfast.bench.rows import NotMeasured, Setting

FLAGS = ("-O3", "-march=native", "-w")


def compile_source(setting: Setting, name: str, *flags: str, to: str, text: str | None = None) -> Path:
    """Compile the yardstick ``name`` (or ``text``, which includes it) and return the file; NotMeasured says why not."""
    assert setting.sources is not None
    source, target = setting.sources / name, setting.built / to
    if not source.is_file():
        raise NotMeasured(f"{source} does not exist")
    command = [setting.compiler, *FLAGS, *flags, f"-I{setting.sources}", "-o", str(target)]
    command += ["-xc", "-"] if text else [str(source)]
    try:
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    except FileNotFoundError:
        raise NotMeasured(f"there is no compiler {setting.compiler!r}; set CC") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise NotMeasured(f"{name} does not compile: {lines[0].strip() if lines else done.returncode}")
    return target


def load_library(setting: Setting, name: str, *flags: str, to: str, text: str | None = None) -> ctypes.CDLL:
    """Compile a yardstick as a shared library and load it."""
    return ctypes.CDLL(str(compile_source(setting, name, *flags, "-shared", "-fPIC", to=to, text=text)))


def function(library: ctypes.CDLL, name: str, result: type | None, *arguments: type) -> ctypes._NamedFuncPointer:
    """Return a function of a library with its types; NotMeasured if the yardstick has no such function."""
    try:
        found = library[name]
    except AttributeError:
        raise NotMeasured(f"the yardstick has no function {name}") from None
    found.restype, found.argtypes = result, list(arguments)
    return found
