# SPDX-License-Identifier: MIT
"""Writes a generated file, or with ``--check`` says how it differs from what its source says now."""

import argparse
import difflib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def checking() -> bool:
    """Whether ``--check`` was given: change nothing, exit 1 if a file is out of date."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the file is out of date")
    return bool(parser.parse_args().check)


def emit(path: str, text: str) -> None:
    """Write ``text`` to ``path`` (relative to the checkout); with ``--check`` exit 1 if that would change it."""
    check = checking()
    target = ROOT / path
    old = target.read_text() if target.exists() else ""
    if not check:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    elif old != text:
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), path, "generated now"))
        sys.exit(f"{path} is out of date: run python {sys.argv[0]}")
