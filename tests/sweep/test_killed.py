# SPDX-License-Identifier: MIT
"""A sweep that is killed again and again ends with exactly the rows of one that was left in peace."""

import random
import subprocess
import sys
import time

import pytest

from cowfast.results import load_results
from cowfast.sweep import sweep

COMMAND = [sys.executable, "-c", "from cowfast.cli import main; main()"]
POINTS, KILLS = 504, 20
SPEC = """
source = "random-mix"
memory = "75%"
[source_parameters]
pages = 64
processes = 4
[grid]
policy = ["linux-5.7", "linux-5.10", "linux-5.16", "linus-2022", "linux-6.1", "linux-6.18"]
seed = { from = 1, to = SEEDS }
"""
#: Long enough that a kill nearly always falls into the work, short enough for the test.
EVENTS = 30_000


def told(row):
    return {key: row[key] for key in ("id", "source", "policy", "seed", "spec", "spec_hash", "counters")}


@pytest.mark.parametrize(
    ("points", "kills"),
    [(72, 3), pytest.param(POINTS, KILLS, marks=pytest.mark.long)],
    ids=["few", "as many as promised"],
)
@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing_and_repeat_nothing(tmp_path, points, kills):
    spec, path = tmp_path / "spec.toml", tmp_path / "killed.jsonl"
    spec.write_text(SPEC.replace("[grid]", f"events = {EVENTS}\n[grid]").replace("SEEDS", str(points // 6)))
    undisturbed = sweep(spec, tmp_path / "undisturbed.jsonl")
    assert len(undisturbed) == points
    command = [*COMMAND, "sweep", str(spec), "-o", str(path), "--executor", "threads:2", "--quiet"]
    moments, grew = random.Random(7), []
    for kill in range(kills):
        before = len(path.read_bytes()) if path.exists() else 0
        process = subprocess.Popen(command)
        # Wait for this start to write something, so that the kills fall all over the sweep, then a random while.
        deadline = time.monotonic() + 30
        while process.poll() is None and (path.stat().st_size if path.exists() else 0) <= before:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.06))
        process.kill()
        process.wait()
        grew.append(len(path.read_bytes()) - before)
        if kill % 4 == 0:  # now and then as a power cut would leave it
            with path.open("r+b") as file:
                file.truncate(path.stat().st_size - moments.randrange(1, 200))
    assert all(size > 0 for size in grew[: max(1, kills // 4)]), "the kills came too late to test anything"
    last = subprocess.run(command, check=False)
    assert last.returncode == 0
    lines = path.read_bytes().splitlines()
    assert len(lines) == points
    rows = {row["id"]: told(row) for row in load_results(path)}
    assert rows == {row["id"]: told(row) for row in undisturbed}
