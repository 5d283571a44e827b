#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the sdist and, from it, the wheel into $1; then runs the wheel where there is nothing else: an environment of its
# own without a compiler, without variables, away from the sources. Figures and the report need files that are not Python.
set -eu
out=$1
.venv/bin/python -m build --quiet --outdir "$out" .
.venv/bin/python -m venv "$out/venv"
CC=false "$out/venv/bin/python" -m pip --disable-pip-version-check --quiet install --only-binary :all: "$out"/cowfast-*.whl
cd "$out"
mkdir home
bare() { env -i HOME="$out/home" PATH="$out/venv/bin:/usr/bin:/bin" "$@"; }
bare cowfast --version
bare cowfast doctor --format csv >/dev/null
bare cowfast compare random-mix --events 100000 --memory 75% --policy linux-5.16,linux-6.18 --seed 1 --format json --quiet >results.json
bare cowfast plot results.json copies -o copies.svg
bare cowfast report results.json -o report.html
bare cowfast litmus --help >/dev/null
bare python -c '
import json, pathlib, sys
import cowfast
assert not {"matplotlib", "numpy"} & set(sys.modules), "importing cowfast must cost nothing"
rows = json.load(open("results.json"))["rows"]
assert [row["counters"]["events"] for row in rows] == [100_000, 100_000], rows
assert "<svg" in pathlib.Path("copies.svg").read_text()
assert "linux-6.18" in pathlib.Path("report.html").read_text()
assert len(cowfast.policy_names()) >= 19
print("wheel:", {row["policy"]: row["counters"]["copies"] for row in rows})'
