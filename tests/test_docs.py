# SPDX-License-Identifier: MIT
"""The examples of the documentation run: Python blocks, and console lines that begin with ``$ cowfast``.

A page is run from the top in an empty directory, so that an example may use what one above it wrote.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

PAGES = [
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in ("tutorial", "recording", "formats", "events", "api", "sweeps", "stories", "thread")
    ),
]
PAGES += sorted((ROOT / "docs" / "formats").glob("*.md"))
#: Pages whose examples are experiments of several seconds.
LONG = {"thread", "sweeps", "recording", "stories"}
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples(text: str) -> list[tuple[str, str]]:
    """Return (language, source) of everything on a page that a reader is told to run."""
    found = []
    for language, body in BLOCK.findall(text):
        if language == "python":
            found.append((language, body))
            continue
        commands = re.findall(r"^\$ ((?:.*\\\n)*.*)", body, re.MULTILINE)
        found += [("console", each.partition("   #")[0]) for each in commands if each.startswith("cowfast ")]
    return found


def test_every_test_that_a_page_names_exists():
    """A defect is told with the test that is named after it: a test that was renamed must not leave its name behind."""
    made = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    files = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = {(name, page.name) for page in pages for name in re.findall(r"\btest_[a-z0-9_]+\b", page.read_text())}
    assert len(named) >= 20
    assert {(name, page) for name, page in named if name not in made | files} == set()


def test_examples_are_found():
    text = "```python\nx = 1\n```\n```console\n$ make demo\n$ cowfast run \\\n  mine   # why\nout\n```\n```toml\na = 1\n```\n"
    assert examples(text) == [("python", "x = 1\n"), ("console", "cowfast run \\\n  mine")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.stem, marks=[pytest.mark.long] * (p.stem in LONG)) for p in PAGES if p.exists()],
)
def test_examples_run(page: Path, tmp_path: Path):
    # Where a page says `cowfast`, this installation is meant; traces of the repository are at hand as on the page.
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
    }
    (tmp_path / "tests").mkdir()
    for name in ("data", "litmus"):
        (tmp_path / "tests" / name).symlink_to(ROOT / "tests" / name)
    for language, source in examples(page.read_text()):
        command = [sys.executable, "-c", source] if language == "python" else ["bash", "-euc", source]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{page.name}: {shlex.join(command)}\n{done.stdout}{done.stderr}"
