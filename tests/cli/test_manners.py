# SPDX-License-Identifier: MIT
"""How the command behaves: help, exit codes, where things are printed."""

import json
import os
import re
import subprocess
import sys

import click
import pytest

from cowfast.cli import COMMANDS, root
from cowfast.cli.main import invoke

COMMAND = [sys.executable, "-c", "from cowfast.cli import main; main()"]
SMALL = ["--events", "20000", "--set", "pages=128,processes=4", "--memory", "75%"]


def cowfast(*words, **options):
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, **options)


def with_sub_commands(command, path):
    """Yield a command and, if it is a group, those in it, with their paths."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from with_sub_commands(command.get_command(click.Context(command), name), f"{path} {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    for path, command in with_sub_commands(root.get_command(click.Context(root), name), name):
        assert command.name == path.split()[-1]
        assert command.help, path
        assert "Example" in (command.epilog or ""), f"write an example into the epilog of {path}"
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{path} {parameter.name} has no help"


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_waits_for_nothing_heavy(name):
    code = (
        f"import sys; from cowfast.cli.main import invoke; invoke({[*name.split(), '--help']});"
        "heavy = {'numpy', 'matplotlib', 'scipy', 'polars', 'rich', 'distributed', 'msgspec'} & set(sys.modules);"
        "sys.exit(' '.join(heavy) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_results_go_to_stdout_and_all_else_to_stderr(format):
    found = cowfast("run", "random-mix", "--policy", "linux-6.1", *SMALL, "--format", format)
    assert found.returncode == 0
    assert found.stderr.startswith("cowfast: 20,000 events in ")
    assert "copies" in found.stdout
    assert cowfast("run", "random-mix", *SMALL, "--quiet").stderr == ""


def test_the_json_of_run(capsys):
    assert invoke(["run", "random-mix", "--policy", "linux-6.1", "--seed", "3", *SMALL, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    [row] = document["rows"]
    assert document["source"] == "random-mix"
    assert document["machine"]["memory"] == 384
    assert (row["policy"], row["seed"], row["counters"]["events"]) == ("linux-6.1", 3, 20_000)
    assert row["seconds"] > 0
    assert re.fullmatch("[0-9a-f]{16}", row["spec_hash"])


def test_the_json_of_compare(capsys):
    assert invoke(["compare", "random-mix", "--policy", "all", "--seeds", "2", *SMALL, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["rows"]) == 2 * len({row["policy"] for row in document["rows"]})
    assert {one["verdict"] for one in document["statistics"]} <= {"less", "more", "same", "no difference"}
    assert "NaN" not in json.dumps(document)


def test_compare_can_be_understood(capsys):
    invoke(["compare", "random-mix", "--policy", "linux-5.16,linux-6.1,sole-owner", *SMALL])
    text = capsys.readouterr().out
    assert "random-mix: 20,000 events under each policy, 384 pages of memory, swap on a disk" in text
    assert "linux-5.16 (baseline)" in text
    for heading in ("pages copied", "of these needless", "× baseline"):
        assert heading in text
    assert "pages copied: writes to a shared or protected page" in text
    assert max(map(len, text.splitlines())) < 250


@pytest.mark.parametrize("format", ["markdown", "latex", "csv"])
def test_compare_in_other_forms(capsys, format):
    assert invoke(["compare", "random-mix", "--policy", "linux-5.16,linux-6.1", *SMALL, "--format", format]) == 0
    assert {"markdown": "| linux-6.1 |", "latex": r"\begin{tabular}", "csv": "needless_by_cause.lock"}[format] in (
        capsys.readouterr().out
    )


def test_samples_make_a_timeline(capsys):
    assert invoke(["run", "random-mix", *SMALL, "--sample", "every=5000", "--format", "csv"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    column = header.split(",").index("events")
    assert [line.split(",")[column] for line in lines] == ["5000", "10000", "15000", "20000"]
    assert {"pages_in_use", "swap_cache_pages", "slots_held_idle"} <= set(header.split(","))


def test_no_color_and_no_escape_codes_in_a_pipe():
    found = cowfast("compare", "random-mix", "--policy", "linux-6.1,linux-5.16", *SMALL)
    assert "\x1b" not in found.stdout + found.stderr
    environment = os.environ | {"NO_COLOR": "1", "FORCE_COLOR": "", "TERM": "xterm-256color"}
    found = cowfast("policies", "diff", "linux-5.10", "linux-6.1", env=environment)
    assert "\x1b[3" not in found.stdout


def test_a_reader_that_has_seen_enough():
    command = " ".join(f"'{word}'" for word in COMMAND)
    found = subprocess.run(f"{command} counters | head -1", shell=True, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")


def test_the_version_says_how_it_was_built():
    assert re.fullmatch(r"cowfast \S+ \(engine: (fast|checked|sanitize)\)\n", cowfast("--version").stdout)


def test_shell_completion():
    environment = os.environ | {"_COWFAST_COMPLETE": "bash_complete", "COMP_WORDS": "cowfast co", "COMP_CWORD": "1"}
    found = cowfast(env=environment)
    assert set(found.stdout.split()) == {"plain,compare", "plain,counters"}


def test_doctor(capsys):
    assert invoke(["doctor", "--format", "json"]) == 0
    found = {entry["what"]: entry["found"] for entry in json.loads(capsys.readouterr().out)["doctor"]}
    assert found["engine"] in ("fast", "checked", "sanitize")


def test_rerun_and_export(capsys, tmp_path):
    path = tmp_path / "results.jsonl"
    spec = tmp_path / "spec.toml"
    spec.write_text('source = "random-mix"\npolicy = ["linux-6.1"]\nsource_parameters = {events = 3000}\n')
    assert invoke(["sweep", str(spec), "-o", str(path), "--quiet"]) == 0
    identity = json.loads(path.read_text())["id"]
    assert invoke(["rerun", str(path), identity[:6]]) == 0
    assert "counters are identical" in capsys.readouterr().out
    assert invoke(["export", str(path), "-o", str(tmp_path / "r.csv")]) == 0
    assert identity in (tmp_path / "r.csv").read_text()
    row = json.loads(path.read_text())
    row["counters"]["copies"] += 1
    path.write_text(json.dumps(row) + "\n")
    assert invoke(["rerun", str(path), identity]) == 1
    assert "copies" in capsys.readouterr().out


def test_results_of_a_sweep_are_compared(capsys, tmp_path):
    path, spec = tmp_path / "results.jsonl", tmp_path / "spec.toml"
    spec.write_text(
        'source = "random-mix"\nsource_parameters = {events = 5000, pages = 64}\n'
        '[grid]\nmemory = ["50%", "75%"]\npolicy = ["linux-5.16", "linux-6.1"]\nseed = [1, 2, 3]\n'
    )
    assert invoke(["sweep", str(spec), "-o", str(path), "--quiet"]) == 0
    assert invoke(["compare", str(path), "--metric", "copies,faults"]) == 0
    text = capsys.readouterr().out
    assert "memory = 512" in text
    assert "memory = 768" in text
    assert text.count("means over 3 seeds") == 1
    assert invoke(["compare", str(path), str(path), "--only-changed"]) == 0
    assert "nothing changed" in capsys.readouterr().out


def test_a_wide_table_is_shown_in_parts_and_no_number_is_cut():
    from cowfast.cli.output import _parts
    from cowfast.compare import Column, Table

    numbers = [f"{10**6 + place:,}" for place in range(12)]
    table = Table([Column("policy", "left"), *[Column(f"what {i}") for i in range(12)]], [["linux-6.1", *numbers]])
    parts = list(_parts(table, 60))
    assert len(parts) > 1
    assert [number for part in parts for number in part.rows[0][1:]] == numbers
    assert {part.rows[0][0] for part in parts} == {"linux-6.1"}
    assert len(list(_parts(table, 10_000))) == len(list(_parts(Table(table.columns, []), 10_000))) == 1
