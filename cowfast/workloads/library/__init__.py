# SPDX-License-Identifier: MIT
"""The built-in workloads: one function each, registered when its module is imported here."""

from cowfast.workloads.library import pressure, random_mix, references, servers, snapshots

__all__ = ["pressure", "random_mix", "references", "servers", "snapshots"]
