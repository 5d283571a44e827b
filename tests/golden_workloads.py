# SPDX-License-Identifier: MIT
"""SHA-256 of the first million events of every workload at seed 1: ``python tests/golden_workloads.py`` rewrites them.

A hash that changes means that results change: raise ``GENERATOR_VERSION`` and say so in CHANGELOG.md.
"""

import hashlib
import json
from pathlib import Path

from cowfast.workloads import GENERATOR_VERSION, workload, workload_names

FILE = Path(__file__).parent / "data" / "golden-workloads.json"
EVENTS = 1_000_000


def golden(name: str, size: int = 1 << 20) -> str:
    """Return the hash of the workload's stream, made in chunks of ``size``."""
    digest = hashlib.sha256()
    for events in workload(name, events=EVENTS).chunks(1, size):
        digest.update(events.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    hashes = {"generator_version": GENERATOR_VERSION, **{name: golden(name) for name in workload_names()}}
    FILE.write_text(json.dumps(hashes, indent=1) + "\n")
