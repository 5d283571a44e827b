# SPDX-License-Identifier: MIT
"""Lists the compiled modules; everything else is in pyproject.toml.

``COWFAST_PROFILE`` chooses the engine's build profile: ``fast`` (default), ``checked``
(bounds checks, assertions) or ``sanitize`` (checked plus AddressSanitizer and
UndefinedBehaviorSanitizer; run Python with the runtime preloaded, see CONTRIBUTING.md).
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

PROFILES = {
    "fast": (["-O3"], [], False),
    "checked": (["-O1", "-g", "-UNDEBUG"], [], True),
    "sanitize": (
        ["-O1", "-g", "-UNDEBUG", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"],
        ["-fsanitize=address,undefined"],
        True,
    ),
}
profile = os.environ.get("COWFAST_PROFILE", "fast")
if profile not in PROFILES:
    raise SystemExit(f"COWFAST_PROFILE={profile!r}: write one of {', '.join(PROFILES)}")
compile_args, link_args, checked = PROFILES[profile]
# The engine says itself what is to be inlined.  Left to gcc, its inner loops end up in one function with everything else, and what
# they need at every event is kept in memory for want of registers: a tenth of all instructions.
# And two counters side by side are not to become one vector: whoever counts one of them next would wait for it to be stored.
AS_WRITTEN = {
    "_engine": [
        "-fno-inline-functions",
        "-fno-inline-functions-called-once",
        "-fno-inline-small-functions",
        "-fno-tree-slp-vectorize",
    ]
}
# Processors that we may use, which are fewer than there are in a container or under taskset.
jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

if __name__ == "__main__":  # cythonize starts processes; where they are not forked they read this file again
    setup(
        ext_modules=cythonize(
            [
                Extension(
                    ".".join(path.with_suffix("").parts),
                    [str(path)],
                    define_macros=[("COWFAST_PROFILE", f'"{profile}"')],
                    extra_compile_args=compile_args + AS_WRITTEN.get(path.stem, []),
                    extra_link_args=link_args,
                )
                for path in sorted(Path("cowfast").rglob("*.pyx"))
            ],
            compiler_directives={
                "language_level": 3,
                "binding": True,
                "embedsignature": True,
                "boundscheck": checked,
                "initializedcheck": checked,
                "wraparound": False,
                "cdivision": True,
            },
            nthreads=jobs,
            build_dir="build/cython" if profile == "fast" else f"build/cython-{profile}",
        ),
        options={"build_ext": {"parallel": jobs}},
    )
