# SPDX-License-Identifier: MIT
"""How many situations the engine's two tables settle: what they do not goes the long way, which is as right but slower."""

import numpy as np
import pytest

from cowfast._engine import Engine
from cowfast.machine import Machine
from cowfast.policy import load_policy


@pytest.mark.parametrize(
    ("policy", "write_faults", "swap_ins"),
    [("linux-5.7", 4088, 4280), ("linux-6.18", 3820, 4288), ("sole-owner", 3456, 3680), ("linux-7.2", 3820, 3792)],
)
def test_so_many_situations_are_settled_beforehand(policy: str, write_faults: int, swap_ins: int) -> None:
    """Of 8,192 and 16,384.  Past the swap cache linux-7.2 never goes, which maps before it frees the entry."""
    tables = Engine(load_policy(policy), Machine(space=4, processes=3)).tables()
    assert np.count_nonzero(tables["verdict"]) == write_faults
    assert np.count_nonzero(tables["entry"]) == swap_ins
