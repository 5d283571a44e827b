# SPDX-License-Identifier: MIT
"""The reference model: plain objects, one rule a method, slow on purpose.

It is the specification of the code base: read it beside the kernel.  docs/model.md and
docs/model-reclaim.md say the same in words; ``cowfast._engine`` computes the same, fast.
"""

from cowfast.reference.model import Reference

__all__ = ["Reference"]
