# SPDX-License-Identifier: MIT
"""Signals that ask a command to end become exceptions, so that whatever it began is cleaned up on the way out.

Python does so for Ctrl-C alone; ``kill``, ``timeout``, a batch system or a closed terminal would leave the files that
were being written.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType

#: What ends a command: Ctrl-C, a kill, a terminal that was closed.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Seconds in which a further signal is the same request and must not disturb the clean-up.
_SAME_REQUEST = 1.0

#: Seconds after which a request that Python had to drop is made again.
_AGAIN = 0.01

_last = [-_SAME_REQUEST]
_dropped = [signal.SIGINT]
_asked: list[int] = []


class Ended(SystemExit):
    """A signal asks the command to end; its exit code is 128 and the number of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


def heard() -> list[signal.Signals]:
    """Return those of :data:`ENDING` that we are to hear: what our parent ignores (``nohup``) stays ignored."""
    return [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]


def listen() -> None:
    """From now on an ending signal raises KeyboardInterrupt (Ctrl-C) or :class:`Ended` in the main thread."""
    if threading.current_thread() is threading.main_thread():
        for number in heard():
            signal.signal(number, _raise)
        signal.signal(signal.SIGALRM, _raise_again)
        sys.unraisablehook = _unraisable


def stop_listening() -> None:
    """From now on signals are ignored: the command is done and says so."""
    if threading.current_thread() is threading.main_thread():
        for number in (*ENDING, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)


def asked() -> int:
    """Return the signal that asked the command to end, 0 if none did."""
    return _asked[-1] if _asked else 0


def _raise(number: int, _frame: FrameType | None) -> None:
    now = time.monotonic()
    if now - _last[0] < _SAME_REQUEST:
        return
    _last[0] = now
    _asked.append(number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Ended(number)


def _unraisable(dropped: sys.UnraisableHookArgs, /) -> None:
    """Make a request again that came within a destructor or a weakref's callback, out of which nothing can be raised."""
    error = dropped.exc_value
    if not isinstance(error, (KeyboardInterrupt, Ended)):
        sys.__unraisablehook__(dropped)
        return
    _dropped[0] = signal.Signals(int(error.code or 0) - 128) if isinstance(error, Ended) else signal.SIGINT
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)


def _raise_again(_number: int, frame: FrameType | None) -> None:
    _last[0] = -_SAME_REQUEST
    _raise(_dropped[0], frame)
