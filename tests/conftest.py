# SPDX-License-Identifier: MIT
"""What all tests share: where the kernel records are, and how long hypothesis looks."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# `default` is for the desk, `ci` for .ci/run (--hypothesis-profile=ci). Deadlines are off: two
# busy cores make a single example slow without making it wrong.
_common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=100, **_common)
settings.register_profile("ci", max_examples=2000, derandomize=True, print_blob=True, **_common)
settings.load_profile("default")

#: For programs that are not Python.  .ci/sanitize loads AddressSanitizer into every process: Chromium hangs with it, and below
#: valgrind, which puts a library of its own before it, it ends the program ("ASan runtime does not come first").
FOREIGN = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Kernel records and traces that are not part of the repository; skipped where absent."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"needs the kernel records in {path.name}/ beside the checkout")
    return path


@pytest.fixture(scope="session")
def data() -> Path:
    """The small real traces that the repository ships."""
    return ROOT / "tests" / "data"
