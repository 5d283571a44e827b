# SPDX-License-Identifier: MIT
"""One at a time, and whoever comes second is refused, not kept waiting."""

from __future__ import annotations

import threading


class Alone:
    """A context that one thread at a time can be in.

    Raises
    ------
    RuntimeError
        on entering, if somebody is in it already: another thread, or the code that a signal handler interrupted
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("this simulator is at work in another thread; give each thread its own")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
