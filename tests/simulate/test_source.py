# SPDX-License-Identifier: MIT
import numpy as np
import pytest

from cowfast.errors import MachineError, SpecError, WorkloadError
from cowfast.events import make_events, parse_event
from cowfast.machine import Machine
from cowfast.simulate import ArraySource, machine_for, resolve_source, source_from_spec, spec_hash


def events(*texts):
    return make_events(map(parse_event, texts))


def test_an_array_knows_the_machine_it_needs():
    source = ArraySource(events("write 0 3", "fork 0 4", "pageout 4 2 n=6", "merge 0 3 4"))
    assert (source.space, source.processes, source.events) == (8, 5, 4)


def test_an_empty_array_is_a_source():
    source = ArraySource(events())
    assert (source.events, source.processes, list(source.chunks())) == (0, 1, [])


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_chunks_make_the_same_stream(size):
    array = events(*[f"write 0 {page}" for page in range(7)])
    assert np.array_equal(np.concatenate(list(ArraySource(array).chunks(size=size))), array)


def test_a_name_that_is_no_source_is_answered_with_the_nearest():
    with pytest.raises(WorkloadError, match="random-mix"):
        resolve_source("random-mixx")


def test_parameters_only_go_to_workloads():
    with pytest.raises(WorkloadError, match="pages"):
        resolve_source(events("write 0 1"), {"pages": 3})


def test_a_workload_comes_back_from_its_spec():
    source = resolve_source("random-mix", {"events": 1000, "pages": 64})
    again = source_from_spec(source.spec())
    one, other = (np.concatenate(list(each.chunks(seed=3))) for each in (source, again))
    assert np.array_equal(one, other)


def test_a_spec_of_another_generator_is_refused():
    spec = resolve_source("random-mix").spec() | {"generator_version": -1}
    with pytest.raises(SpecError, match="generator_version"):
        source_from_spec(spec)


def test_events_in_memory_cannot_come_back():
    with pytest.raises(SpecError, match="in memory"):
        source_from_spec(ArraySource(events("write 0 1")).spec())


def test_the_machine_takes_its_sizes_from_the_source():
    source = resolve_source("random-mix", {"pages": 100, "processes": 7})
    machine = machine_for(source, {"cpus": 2})
    assert (machine.space, machine.processes, machine.cpus, machine.memory) == (100, 7, 2, 0)


def test_a_machine_is_taken_as_it_is():
    source = resolve_source("random-mix", {"pages": 100})
    assert machine_for(source, Machine(space=5000)).space == 5000


@pytest.mark.parametrize(
    ("text", "pages"),
    [("50%", 350), (123, 123), ("123", 123), ("1_000", 1000), ("16MiB", 4096), ("1GiB", 262144), ("0", 0)],
)
def test_memory_as_users_write_it(text, pages):
    source = resolve_source("random-mix", {"pages": 100, "processes": 7})
    assert machine_for(source, memory=text).memory == pages


@pytest.mark.parametrize("text", ["x", "-5", "-5%", "0%", "nan%", "inf%", "", "5 elephants", "1e99%", "%"])
def test_memory_that_makes_no_sense(text):
    with pytest.raises(MachineError, match="memory"):
        machine_for(resolve_source("random-mix"), memory=text)


def test_a_share_needs_a_source_that_knows_its_footprint():
    source = ArraySource(events("write 0 1"))
    source.footprint = None
    with pytest.raises(MachineError, match="number of pages"):
        machine_for(source, memory="50%")


def test_the_name_of_a_spec_does_not_depend_on_its_order():
    assert spec_hash({"a": 1, "b": [np.int64(2)]}) == spec_hash({"b": [2], "a": 1}) != spec_hash({"a": 1, "b": [3]})
