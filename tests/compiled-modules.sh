#!/bin/sh
# SPDX-License-Identifier: MIT
# Names of all compiled modules: what stubtest compares with their .pyi.
find cowfast -name '*.pyx' | sed -e 's/\.pyx$//' -e 's,/,.,g' | sort
