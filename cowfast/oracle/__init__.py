# SPDX-License-Identifier: MIT
"""Is it true?  Replays what real kernels and services did, and compares."""
