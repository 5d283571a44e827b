# SPDX-License-Identifier: MIT
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np

class Rule(IntEnum):
    FIXED = 0
    RANDOM = 1
    ZIPF = 2
    CURSOR = 3
    SPREAD = 4
    FRESH = 5
    TURN = 6
    OTHER = 7
    TOGGLE = 8
    HELD = 9

class StepKind(IntEnum):
    MIX = 0
    LOOP = 1
    END = 2

LINE: np.dtype[Any]
STEP: np.dtype[Any]
MAX_LINES: int
MAX_DEPTH: int

def spread(n: int) -> int: ...

class Generator:
    steps: np.ndarray
    lines: np.ndarray
    index: int
    limit: int
    def __init__(
        self,
        steps: np.ndarray,
        lines: np.ndarray,
        parts: Sequence[tuple[int, int, int]],
        zipfs: Sequence[tuple[int, float, int]],
        bulks: Sequence[tuple[int, int]],
        references: int,
        key: int,
        limit: int,
        turn: int = ...,
    ) -> None: ...
    def fill(self, out: np.ndarray) -> int: ...
