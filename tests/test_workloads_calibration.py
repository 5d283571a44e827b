# SPDX-License-Identifier: MIT
"""Fitted presets are within 10 % of the recordings, and what is kept of the recordings is what they measure."""

import sys

import pytest

from cowfast.traces.perf import import_perf
from cowfast.workloads import presets

FITTED = [each for each in presets() if each.measured]
NAMES = [f"{each.workload}-{each.name}" for each in FITTED]


@pytest.fixture(scope="module")
def calibration(root):
    """The module that makes docs/calibration.md."""
    place = str(root / "docs" / "generate")
    sys.path.insert(0, place)
    try:
        import calibration
    finally:
        sys.path.remove(place)
    return calibration


def test_three_applications_are_fitted():
    fitted = {(each.workload, each.trace) for each in FITTED}
    assert fitted >= {("bgsave", "redis-bgsave"), ("prefork", "cpython-prefork"), ("fork-exec", "make-build")}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("preset", FITTED, ids=NAMES)
def test_within_a_tenth_of_the_recording(calibration, preset, seed):
    assert list(preset.measured) == list(calibration.MEANINGS)
    assert calibration.figures_of(preset, seed) == pytest.approx(preset.measured, rel=0.1, abs=1e-12)


@pytest.mark.parametrize("preset", FITTED, ids=NAMES)
@pytest.mark.slow
def test_the_recording_measures_what_is_kept(calibration, preset, shared, tmp_path):
    trace = import_perf(shared / "traces" / f"{preset.trace}.txt.xz", tmp_path / "trace.cow")
    figures = calibration.measure(trace)[preset.rank].figures()
    assert figures == pytest.approx(preset.measured, rel=1e-3, abs=1e-12)
