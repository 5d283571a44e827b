#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds sdist and wheel into $1 and runs the wheel in an empty environment without a compiler and away from the sources.
set -eu
out=$1
.venv/bin/python -m build --quiet --outdir "$out" .
.venv/bin/python -m venv "$out/venv"
CC=false "$out/venv/bin/python" -m pip --disable-pip-version-check --quiet install --only-binary :all: "$out"/cowfast-*.whl
cd "$out"
venv/bin/cowfast --version
venv/bin/cowfast run random-mix --events 100000 --policy linux-6.18 --seed 1 --format json | venv/bin/python -c '
import json, sys
row = json.load(sys.stdin)["rows"][0]
assert row["counters"]["events"] == 100_000, row
print("wheel:", row["policy"], row["counters"]["copies"], "copies")'
