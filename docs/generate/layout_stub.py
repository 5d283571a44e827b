# SPDX-License-Identifier: MIT
"""cowfast/_layout.pyi: the enums and dtypes that C defines, spelled out for type checkers."""

import enum

import numpy as np

from _page import emit
from cowfast import _layout

HEADER = """\
# SPDX-License-Identifier: MIT
# Generated from _layout.pxd by docs/generate/layout_stub.py; change that and run this.
from enum import IntEnum
from typing import Any

import numpy as np

"""


def stub() -> str:
    """Return the text of the stub: enums with their values in C order, then one dtype a record."""
    names = sorted(vars(_layout))
    enums = [getattr(_layout, name) for name in names if isinstance(getattr(_layout, name), enum.EnumType)]
    dtypes = [name for name in names if isinstance(getattr(_layout, name), np.dtype)]
    blocks = [
        f"class {each.__name__}(IntEnum):\n"
        + "".join(f"    {key} = {int(value)}\n" for key, value in each.__members__.items())
        for each in enums
    ]
    return HEADER + "\n".join(blocks) + "\n" + "".join(f"{name}: np.dtype[Any]\n" for name in dtypes)


if __name__ == "__main__":
    emit("cowfast/_layout.pyi", stub())
