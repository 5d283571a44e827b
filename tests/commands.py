# SPDX-License-Identifier: MIT
"""Many command lines in one process of its own, with limits: how each ended, what it said, how long it took.

``run_many`` is what tests call; the process reads what to do from stdin.  One process for many commands, for starting
Python takes longer than most of them.
"""

import contextlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    """How a command ended; ``code`` 'hang' is one that had to be stopped.

    ``seconds`` are of the processor, for others may use it too; ``peak_mib`` is the most memory of the process so far.
    """

    words: list
    code: object
    out: str
    err: str
    seconds: float
    peak_mib: int

    def __str__(self):
        return f"cowfast {' '.join(self.words)}: exit {self.code} after {self.seconds:.1f} s, {self.peak_mib} MiB\n{self.err[-600:]}"


def run_many(commands, first=(), seconds=10, user=None, file_size=None, address_space=16 << 30, cwd=None):
    """Run ``commands`` (lists of words) after those in ``first``, which must come to an end and load what the others need.

    ``user``: with the rights of that user id only; ``file_size``: no file may become larger.
    """
    task = {"commands": commands, "first": first, "seconds": seconds, "user": user, "file_size": file_size,
            "address_space": address_space}  # fmt: skip
    done = subprocess.run([sys.executable, __file__], input=json.dumps(task, default=str), capture_output=True, text=True,
                          check=False, cwd=cwd)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [Ended(*each) for each in json.loads(done.stdout.splitlines()[-1])]


class _Hang(BaseException):
    pass


def _hang(_number, _frame):
    raise _Hang


def _one(words, seconds):
    from cowfast.cli.main import invoke

    out, err = io.StringIO(), io.StringIO()
    begun = time.process_time()
    signal.alarm(seconds)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = invoke(words)
    except _Hang:
        code = "hang"
    except BaseException as error:
        import traceback

        code = f"{type(error).__name__}"
        err.write("".join(traceback.format_exception(error)))
    finally:
        signal.alarm(0)
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) >> 10
    return words, code, out.getvalue()[-2000:], err.getvalue()[-4000:], time.process_time() - begun, peak


def main():
    """Do what stdin says."""
    task = json.loads(sys.stdin.read())
    signal.signal(signal.SIGALRM, _hang)
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):  # of addresses it takes 20 TB for itself
        resource.setrlimit(resource.RLIMIT_AS, (task["address_space"],) * 2)
    for words in task["first"]:
        ended = _one(words, 120)
        if ended[1] not in (0, 1):  # 1: explore found what it looks for
            sys.exit(f"{words}: {ended}")
    if task["file_size"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (task["file_size"],) * 2)
    if task["user"] is not None:
        os.setgroups([])
        os.setegid(task["user"])
        os.seteuid(task["user"])
    print(json.dumps([_one(words, task["seconds"]) for words in task["commands"]]))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
