# SPDX-License-Identifier: MIT
from typing import Any

import numpy as np

from cowfast._engine import Engine

class Watch:
    page_since: int
    slot_since: int
    batch_since: int
    ptes: np.ndarray
    ptes_since: np.ndarray
    refs_since: np.ndarray
    def __init__(self, engine: Engine, page: int, vpage: int) -> None: ...
    def run(self, events: np.ndarray, outcomes: np.ndarray) -> None: ...

def inside(engine: Engine) -> dict[str, Any]: ...
