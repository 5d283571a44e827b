# SPDX-License-Identifier: MIT
import pytest

from cowfast.errors import CowfastError, SpecError
from cowfast.sweep import load_spec, plan_sweep

SMALLEST = """
source = "random-mix"
[source_parameters]
events = 200000
[grid]
policy = ["linux-5.10", "linus-2022", "linux-6.1"]
seed = [1, 2, 3]
"""


def test_the_smallest_spec(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_text(SMALLEST)
    plan = plan_sweep(path)
    assert (plan.runs, plan.events) == (9, 1_800_000)
    assert len({identity for task in plan.tasks for identity in task.ids}) == 9


def test_grid_and_zip():
    spec = load_spec(
        {
            "source": "random-mix",
            "policy": "linux-6.1",
            "grid": {"seed": {"from": 1, "to": 3}},
            "zip": {"pages": [64, 128], "memory": ["50%", 300]},
        }
    )
    points = [(point["seed"], point["pages"], point["memory"]) for point in spec.points()]
    assert points == [(seed, *pair) for seed in (1, 2, 3) for pair in ((64, "50%"), (128, 300))]
    machines = {(task.machine.space, task.machine.memory) for task in plan_sweep(spec).tasks}
    assert machines == {(64, 512), (128, 300)}


def test_a_setting_goes_to_the_source_first_or_where_it_is_told():
    base = {"source": "random-mix", "policy": "linux-6.1"}
    [task] = plan_sweep(base | {"grid": {"references": [32]}}).tasks
    assert task.source.spec()["parameters"]["references"] == 32
    [task] = plan_sweep(base | {"grid": {"machine.references": [99], "cpus": [3]}}).tasks
    assert (task.machine.references, task.machine.cpus) == (99, 3)
    assert task.source.spec()["parameters"]["references"] == 64


def test_equal_runs_are_done_once():
    plan = plan_sweep({"source": "random-mix", "grid": {"policy": ["linux-6.1", "linux-6.1"], "seed": [1, 1, 2]}})
    assert plan.runs == 2


def test_policies_of_a_stream_share_tasks_of_a_size_that_can_be_spread():
    plan = plan_sweep({"source": "random-mix", "policy": "all", "seed": [1, 2]})
    assert max(len(task.ids) for task in plan.tasks) <= 4
    assert {task.seed for task in plan.tasks} == {1, 2}


def test_what_is_done_is_left_out():
    plan = plan_sweep({"source": "random-mix", "policy": ["linux-5.10", "linux-6.1"], "seed": [1, 2]})
    done = plan.tasks[0].ids[:1] + plan.tasks[1].ids
    rest = plan.without(done)
    assert rest.runs == 1
    assert [policy.name for policy in rest.tasks[0].policies] == ["linux-6.1"]


def test_the_name_of_a_run_does_not_depend_on_its_neighbours():
    def ids(**grid):
        return {identity for task in plan_sweep({"source": "random-mix", "grid": grid}).tasks for identity in task.ids}

    one = ids(policy=["linux-6.1"], seed=[2])
    assert one < ids(policy=["linux-5.10", "linux-6.1"], seed=[1, 2])


def test_an_accidental_explosion_is_refused_before_it_is_listed():
    grid = {"policy": ["linux-6.1"], "seed": list(range(1000)), "pages": list(range(1, 10_001))}
    with pytest.raises(SpecError, match=r"10,000,000 runs \(1000 seed x 10000 pages\), more than --max-tasks 10,000"):
        plan_sweep({"source": "random-mix", "grid": grid})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "no source"),
        ({"source": "random-mix"}, "nothing to run"),
        ({"source": "random-mix", "policies": "all"}, "did you mean 'policy'"),
        ({"source": "random-mux", "policy": "all"}, "random-mix"),
        ({"source": "random-mix", "policy": "linux-6.11"}, "linux-6.1"),
        ({"source": "random-mix", "policy": "all", "grid": {"pagez": [1]}}, "did you mean 'pages'"),
        ({"source": "random-mix", "policy": "all", "grid": {"machine.swop": ["sync"]}}, "did you mean 'swap'"),
        ({"source": "random-mix", "policy": "all", "source_parameters": {"pagez": 1}}, "did you mean 'pages'"),
        ({"source": "random-mix", "policy": "all", "machine": {"swop": "sync"}}, "did you mean 'swap'"),
        ({"source": "random-mix", "policy": "all", "machine": {"swap": "floppy"}}, "floppy"),
        ({"source": "random-mix", "policy": "all", "seed": -1}, "seed"),
        ({"source": "random-mix", "policy": "all", "seed": "one"}, "seed"),
        ({"source": "random-mix", "policy": "all", "seed": {"from": 1}}, "a range is written"),
        ({"source": "random-mix", "policy": "all", "seed": {"from": 1, "to": 3, "step": 0}}, "a range is written"),
        ({"source": "random-mix", "policy": "all", "grid": {"seed": []}}, "nothing to run"),
        ({"source": "random-mix", "policy": "all", "zip": {"pages": [1, 2], "seed": [1]}}, "equally long"),
        ({"source": "random-mix", "policy": "all", "zip": {"pages": [1]}, "grid": {"pages": [1]}}, "two places"),
        ({"source": "random-mix", "policy": "all", "memory": "much"}, "memory"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(spec, message):
    with pytest.raises(CowfastError, match=message):
        plan_sweep(spec)


@pytest.mark.parametrize("text", ["source = ", "\x00", "[grid", 'source = "a"\nsource = "b"'])
def test_a_file_that_is_not_toml(tmp_path, text):
    path = tmp_path / "spec.toml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"spec\.toml: not TOML"):
        load_spec(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SpecError, match="cannot be read"):
        load_spec(tmp_path / "none.toml")


def test_files_are_found_beside_the_spec(tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text("")
    (tmp_path / "spec.toml").write_text('source = "random-mix"\n[grid]\npolicy = ["mine.toml", "linux-6.1"]\n')
    monkeypatch.chdir("/")
    assert load_spec(tmp_path / "spec.toml").grid["policy"] == [str(tmp_path / "mine.toml"), "linux-6.1"]
