# SPDX-License-Identifier: MIT
"""The layers of pyproject.toml hold for compiled modules too, which import-linter cannot look into."""

import re
import tomllib

import pytest

from conftest import ROOT

COMPILED = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("cowfast/**/*.pyx"))
IMPORT = re.compile(
    r"^\s*(?:from\s+(cowfast[\w.]*)\s+c?import\s+\(?([\w ,]*)|c?import\s+(cowfast[\w.]*))", re.MULTILINE
)


def layers() -> dict[str, tuple[int, str]]:
    """Room -> (height, how it stands to its neighbours: '|' apart, ':' together)."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    lines = list(reversed(contracts[0]["layers"]))
    return {room: (height, line) for height, line in enumerate(lines) for room in re.findall(r"\w+", line)}


def imported_rooms(source: str) -> set[str]:
    """Rooms of cowfast that a Cython source imports or cimports."""
    found = set()
    for module, names, plain in IMPORT.findall(source):
        path = (module or plain).split(".")[1:]
        found.update(path[:1] or [name.split()[0] for name in names.split(",") if name.strip()])
    return found


def test_imports_are_found():
    source = "from cowfast import errors, events as e\nfrom cowfast.tables cimport x\n"
    source += "cimport cowfast._layout as L\nimport numpy\n"
    assert imported_rooms(source) == {"errors", "events", "tables", "_layout"}


@pytest.mark.parametrize("path", COMPILED)
def test_compiled_module_imports_only_from_below(path):
    heights = layers()
    room = path.split("/")[1].removesuffix(".pyx")
    height, line = heights[room]
    for other in imported_rooms((ROOT / path).read_text()) - {room}:
        below, _ = heights[other]
        assert below < height or (below == height and "|" not in line), f"{path} must not import {other}"


@pytest.mark.parametrize("path", COMPILED)
def test_compiled_module_has_a_stub(path):
    assert (ROOT / path).with_suffix(".pyi").exists(), f"{path}: write its .pyi, `make lint` compares the two"
