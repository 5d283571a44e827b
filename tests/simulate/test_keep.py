# SPDX-License-Identifier: MIT
"""A run that is interrupted goes on from its file to the same counters."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cowfast.errors import EventError, SpecError
from cowfast.events import make_events, parse_event
from cowfast.simulate import simulate
from cowfast.simulate.snapshot import load

RUN = {
    "source": "random-mix",
    "policy": "linux-5.16",
    "memory": "60%",
    "seed": 3,
    "parameters": {"events": 30_000, "processes": 4, "pages": 128},
    "chunk": 1_000,
}
COMMAND = [sys.executable, "-c", "from cowfast.cli import main; main()"]


def interrupt_after(chunks: int):
    left = iter(range(chunks))

    def report(_progress) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize("sample_every", [0, 1_000, 700])
def test_interrupted_twice_and_gone_on_with_is_the_same_run(tmp_path, sample_every):
    path = tmp_path / "kept.npz"
    whole = simulate(**RUN, sample_every=sample_every)
    for chunks, done in ((4, 5_000), (9, 15_000)):
        with pytest.raises(KeyboardInterrupt):
            simulate(**RUN, sample_every=sample_every, snapshot=path, progress=interrupt_after(chunks))
        assert load(path).arrays["counters"][0] == done
    seen = []
    result = simulate(**RUN, sample_every=sample_every, snapshot=path, progress=lambda one: seen.append(one.done))
    assert (seen[0], seen[-1]) == (16_000, 30_000)
    assert result.counters == whole.counters
    assert result.samples == whole.samples
    assert result.spec_hash == whole.spec_hash
    assert not path.exists()


def test_a_signal_between_an_event_and_its_sample_loses_none(tmp_path, monkeypatch):
    from cowfast.simulate import samples

    path, due = tmp_path / "kept.npz", samples.Sampler.due
    whole = simulate(**RUN, sample_every=1_000)

    def interrupted(sampler):
        if sampler.simulator.done == 5_000:
            raise KeyboardInterrupt
        return due(sampler)

    with monkeypatch.context() as patch:
        patch.setattr(samples.Sampler, "due", interrupted)
        with pytest.raises(KeyboardInterrupt):
            simulate(**RUN, sample_every=1_000, snapshot=path)
    assert len(load(path).run.samples) == 4
    assert simulate(**RUN, sample_every=1_000, snapshot=path).samples == whole.samples


@pytest.mark.parametrize("other", [{"seed": 4}, {"policy": "linux-6.18"}, {"memory": "70%"}, {"sample_every": 10}])
def test_the_file_of_another_run_is_refused_and_stays(tmp_path, other):
    path = tmp_path / "kept.npz"
    with pytest.raises(KeyboardInterrupt):
        simulate(**RUN, snapshot=path, progress=interrupt_after(2))
    before = path.read_bytes()
    with pytest.raises(SpecError, match="not of this run"):
        simulate(**RUN | other, snapshot=path)
    assert path.read_bytes() == before


def test_what_is_no_snapshot_is_refused_before_anything_is_run(tmp_path):
    path = tmp_path / "kept.npz"
    path.write_text("hello")
    with pytest.raises(SpecError, match="not a snapshot"):
        simulate(**RUN, snapshot=path)
    with pytest.raises(SpecError, match="folder that is there"):
        simulate(**RUN, snapshot=tmp_path / "nowhere" / "kept.npz")
    with pytest.raises(SpecError, match="directory"):
        simulate(**RUN, snapshot=tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SpecError, match="not a regular file"):
        simulate(**RUN, snapshot=tmp_path / "fifo")
    with pytest.raises(SpecError, match="fast engine"):
        simulate(**RUN, engine="reference", snapshot=tmp_path / "other.npz")


def test_an_error_is_the_end_of_a_run(tmp_path):
    path = tmp_path / "kept.npz"
    with pytest.raises(EventError):
        simulate(make_events(map(parse_event, ["write 0 0", "write 9 0"])), snapshot=path)
    assert not path.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_goes_on_after_a_signal(tmp_path, number):
    words = ["run", "random-mix", "--events", "20000000", "--set", "processes=16,pages=512", "--format", "json"]
    words += ["--policy", "linux-6.18", "--snapshot", "kept.npz"]

    def run(*more: str) -> subprocess.Popen:
        return subprocess.Popen([*COMMAND, *words, *more], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    whole = json.loads(run().communicate()[0])["rows"][0]["counters"]
    process = run()
    time.sleep(0.6)  # if it has not begun by then, or has ended, the outcome is one of those below
    process.send_signal(number)
    said = process.communicate()[1]
    assert process.returncode in (0, 128 + number, -number), said
    kept = (tmp_path / "kept.npz").exists()
    assert kept == ("the same command goes on from it" in said)
    again = run()
    out, said = again.communicate()
    assert ("goes on from kept.npz" in said) == kept
    assert json.loads(out)["rows"][0]["counters"] == whole
    assert os.listdir(tmp_path) == []
