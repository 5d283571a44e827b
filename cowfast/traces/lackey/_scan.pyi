# SPDX-License-Identifier: MIT
from enum import IntEnum

import numpy as np

class Stop(IntEnum):
    NEED_MORE = 0
    FULL = 1
    OTHER_LINE = 2

class Scanner:
    lines: int
    accesses: int
    def __init__(self, window: int) -> None: ...
    def forget(self) -> None: ...
    def scan(
        self, block: bytes | bytearray | memoryview, start: int, pages: np.ndarray, writes: np.ndarray
    ) -> tuple[int, int, int]: ...
