# SPDX-License-Identifier: MIT
"""What the files of the built-in policies say beside the rules: the kernel function that a check stands for, and history.

The notes are the comments of the TOML files, so that a rule and its kernel function stand on one line and nowhere else.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from cowfast.policy import policy_names

_DIRECTORY = Path(__file__).parent / "policies"
_LIST = re.compile(r"^(write_fault|swap_in) = \[\n(.*?)^\]", re.MULTILINE | re.DOTALL)
_CHECK = re.compile(r'^ *"[^"]*",? *(?:# *(.*))?$', re.MULTILINE)
_SWITCH = re.compile(r"^(\w+) *= .*?# *(.*)$", re.MULTILINE)

_EDITS = {
    "linux-5.18": "linux-5.16",
    "linus-2022": "linux-5.16",
    "linus-2022-precheck": "linus-2022",
    "no-mapcount-2022": "linux-5.16",
    "swapin-draft-2022": "linus-2022-precheck",
    "liang-2022": "linux-5.16",
    "willy-2022": "linux-5.16",
    "unshare-2021": "linux-5.16",
}
"""A proposal -> the policy that it edits; kernels not named here follow the kernel before them."""


class Notes(NamedTuple):
    """Comments of one policy; an empty text where a file says nothing."""

    remark: str = ""
    """what to know about the policy, in a sentence or two"""
    write_fault: tuple[str, ...] = ()
    """one a check: the kernel function or condition"""
    swap_in: tuple[str, ...] = ()
    switches: dict[str, str] = {}
    """switch -> kernel function, and since or until when"""


def policy_notes(name: str) -> Notes:
    """The comments of a built-in policy or of a composition of built-in ones; empty for anything else.

    Parameters
    ----------
    name : as for :func:`cowfast.load_policy`
    """
    base, *changes = name.split("+")
    notes = _read(base)
    for change in changes:
        key, _, other = change.partition("=")
        if key in ("write_fault", "swap_in"):
            notes = notes._replace(**{key: getattr(_read(other), key)})
    return notes


def predecessor(name: str) -> str | None:
    """The built-in policy that this one changes: the kernel before, or what a proposal edits; None for the first and for bounds."""
    kernels = [known for known in policy_names() if known.startswith("linux-")]
    if name in _EDITS:
        return _EDITS[name]
    place = kernels.index(name) if name in kernels else 0
    return kernels[place - 1] if place else None


def _read(name: str) -> Notes:
    if name not in policy_names():
        return Notes()
    text = (_DIRECTORY / f"{name}.toml").read_text()
    head = text.partition("\nname")[0].splitlines()
    lists = {kind: tuple(_CHECK.findall(body)) for kind, body in _LIST.findall(text)}
    return Notes(
        remark=" ".join(line.lstrip("# ") for line in head if not line.startswith("# SPDX")),
        switches=dict(_SWITCH.findall(text.partition("[switches]")[2])),
        **lists,
    )
