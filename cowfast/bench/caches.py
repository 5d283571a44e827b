# SPDX-License-Identifier: MIT
"""Memory as a cache of pages, against libCacheSim's LRU (the package ``libcachesim``)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cowfast.bench.rows import Figure, Figures, Measurement, NotMeasured, Promise, Setting
from cowfast.bench.timing import in_turns
from cowfast.events import EVENT
from cowfast.simulate import Simulator
from cowfast.simulate.setup import machine_for
from cowfast.workloads import workload

GOALS = {10_000: 1.3, 1_000_000: 3.0, 10_000_000: 2.0}
RECORD = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])


def measure(setting: Setting, objects: int) -> Figures:
    """Return million requests per second of both."""
    try:
        import libcachesim
    except ImportError as error:
        raise NotMeasured(f"libcachesim is not installed (pip install libcachesim): {error}") from None
    nothing = ("get", "look", "pin", "lock", "merge", "references", "write", "pageout", "fork_weight")
    parameters: dict[str, Any] = dict.fromkeys(nothing, 0)
    source = workload("random-mix", processes=1, pages=objects, read=1, zipf_s=1.0, events=1 << 40, **parameters)
    machine = machine_for(source, {"swap_slots": objects, "page_cluster": 0}, objects // 10)
    sim = Simulator("linux-6.18", machine)
    cache = libcachesim.LRU(cache_size=objects // 10, hashpower=(objects // 10).bit_length() + 3)
    size = 1 << 20
    generator = source.generator(0)
    events = np.zeros(objects, EVENT)
    generator.fill(events)  # every page is written once
    sim.run(events)
    path = setting.built / f"requests-{objects}.bin"

    def prepare() -> tuple[np.ndarray, Any]:
        requests = np.zeros(size, EVENT)
        generator.fill(requests)
        return requests, _reader(libcachesim, requests, path)

    for _ in range(objects // size + 1):
        requests, reader = prepare()
        sim.run(requests)
        cache.process_trace(reader)
    before, misses = sim.counters["major_faults"], []
    works = {
        "cowfast": lambda both: sim.run(both[0]),
        "libcachesim": lambda both: misses.append(cache.process_trace(both[1])),
    }
    least = in_turns(setting.rounds, works, prepare)
    ours = (sim.counters["major_faults"] - before) / size / setting.rounds
    rate = {name: size / value / 1e6 for name, value in least.items()}
    note = f"misses: {ours:.3f} of cowfast's requests, {np.mean([miss[0] for miss in misses]):.3f} of the LRU's"
    return {f"lru-{objects:.0e}".replace("+0", ""): Figure(rate["cowfast"], rate["libcachesim"], note)}


def _reader(library: Any, events: np.ndarray, path: Path) -> Any:
    records = np.zeros(len(events), RECORD)
    records["time"], records["id"], records["size"], records["next"] = 1, events["page"] + 1, 1, -2
    records.tofile(path)
    parameters = library.ReaderInitParam(ignore_obj_size=True)
    kind = library.TraceType.ORACLE_GENERAL_TRACE
    return library.TraceReader(trace=str(path), trace_type=kind, reader_init_params=parameters)


MEASUREMENTS = [
    Measurement(
        [Promise(f"lru-{objects:.0e}".replace("+0", ""), "M requests/s", goal)],
        partial(measure, objects=objects),
        "reads of one process, Zipf 1.0 over so many pages, memory for a tenth of them, no readahead; libCacheSim's native"
        " loop over the same requests",
        own=True,
        long=objects > 1_000_000,
    )
    for objects, goal in GOALS.items()
]
