# SPDX-License-Identifier: MIT
"""A run that is interrupted is kept in a file, from which the same run goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cowfast.errors import SpecError
from cowfast.simulate.samples import sample
from cowfast.simulate.snapshot import KeptRun, load, save

if TYPE_CHECKING:
    import numpy as np

    from cowfast.simulate.run import Run

    Name: TypeAlias = str | os.PathLike[str]


@contextmanager
def keeping(run: Run, path: Name) -> Iterator[None]:
    """Begin where ``path`` says, if it is there; write it if the block is interrupted, remove it when the run is complete.

    Raises
    ------
    SpecError
        before anything is run: the file is none of this run, is damaged, or could not be written; or the engine has no snapshots
    """
    if run.simulator.engine_name != "fast":
        raise SpecError("snapshot: only the fast engine can go on from one; leave it out, or use engine=fast")
    place = Path(os.path.realpath(path))
    if place.exists():
        _go_on(run, place)
    elif not place.parent.is_dir() or not os.access(place.parent, os.W_OK):
        raise SpecError(f"snapshot: {place} could not be written; name a file in a folder that is there")
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # what signals become; an error would be met again
        if run.simulator.done:
            samples = run.sampler.samples if run.sampler else []
            kept = KeptRun(run.spec_hash(), run.seconds, samples)
            save(place, run.simulator.policy, run.simulator.machine, run.simulator.snapshot(), kept)
        raise
    if run.error is None:
        place.unlink(missing_ok=True)


def rest(chunks: Iterator[np.ndarray], done: int) -> Iterator[np.ndarray]:
    """Yield what comes after the first ``done`` events."""
    for chunk in chunks:
        if done < len(chunk):
            yield chunk[done:]
        done = max(0, done - len(chunk))


def _go_on(run: Run, place: Path) -> None:
    kept = load(place)
    if kept.run is None or kept.run.spec_hash != run.spec_hash():
        raise SpecError(
            f"{place} is not of this run (source, policy, machine, seed, samples); name another file, or remove it"
        )
    run.simulator.go_on(kept, place)
    run.seconds = kept.run.seconds
    if run.sampler:
        run.sampler.samples = kept.run.samples
        if run.sampler.due():  # the signal fell between the event and its sample
            run.sampler.samples.append(sample(run.simulator))
