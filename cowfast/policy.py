# SPDX-License-Identifier: MIT
"""Reuse policies as data: built-in TOML files, user files, compositions.

A policy is two ordered lists of checks and a handful of switches (docs/model.md section 4).  Both
engines execute the compiled form, so a new policy is one TOML file and no code.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from cowfast._checks import compile_list, format_check
from cowfast.errors import PolicyError

_BUILT_IN = Path(__file__).parent / "policies"
_MAX_BYTES = 1 << 16
_ORDER = (
    "linux-5.7",
    "linux-5.8",
    "linux-5.10",
    "linux-5.16",
    "linus-2022",
    "linus-2022-precheck",
    "no-mapcount-2022",
    "swapin-draft-2022",
    "liang-2022",
    "willy-2022",
    "unshare-2021",
    "linux-5.18",
    "linux-6.1",
    "linux-6.12",
    "linux-6.18",
    "linux-7.2",
    "linux-7.3",
    "always-copy",
    "sole-owner",
)  # history first, the two bounds last; files that are not named here follow in alphabetical order

GupRule = Literal["plain", "write fault", "unshare if mapped twice", "unshare if not exclusive"]


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What differs between kernels beside the two lists of checks."""

    exclusive: bool
    copy_leaves_swap_cache: bool
    swap_bypass: bool
    get_read: GupRule
    pin_read: GupRule
    unshare_zero_page: bool
    fork_copies_pinned: Literal["never", "maybe pinned", "exclusive and maybe pinned"]
    reclaim_skips_pinned: bool
    reclaim_rechecks_pinned: bool
    unmap_refuses_pinned: bool
    unmap_drains: bool
    readahead_drains: bool
    batch: int
    longterm_unmovable: bool
    protect_restores: Literal["never", "exclusive and dirty", "exclusive"]
    zero_pages_without_io: bool
    pin_references: bool
    pageout_looks_at_references: bool
    stat_step: int
    stat_flush: Literal[0, 1, 2]
    shadow_before_age: bool


SWITCH_MEANINGS: dict[str, str] = {
    "exclusive": "pages carry an exclusive flag, and swap entries a marker of it",
    "copy_leaves_swap_cache": "after a copy, an old page that nobody maps leaves the swap cache",
    "swap_bypass": "a synchronous swap device is read past the swap cache when the slot has one user",
    "get_read": "what a read-only get does to a write-protected page first",
    "pin_read": "what a read-only pin does to a write-protected page first",
    "unshare_zero_page": "a read-only long-term pin replaces the zero page by a page of its own",
    "fork_copies_pinned": "which pinned pages fork copies at once instead of sharing them",
    "reclaim_skips_pinned": "reclaim leaves pages alone that may be pinned, before it gives them a slot",
    "reclaim_rechecks_pinned": "reclaim looks for pins again after unmapping",
    "unmap_refuses_pinned": "reclaim cannot unmap an exclusive page that may be pinned",
    "unmap_drains": "discard, exit and exec drain the local LRU batch first",
    "readahead_drains": "swap readahead drains the local LRU batch at its end",
    "batch": "entries of a per-CPU LRU batch",
    "longterm_unmovable": "long-term pins allocate from the unmovable free list",
    "protect_restores": "which pages mprotect back to read-write makes writable without a fault",
    "zero_pages_without_io": "pages of zeros are swapped without I/O",
    "pin_references": "pinning marks a page as referenced",
    "pageout_looks_at_references": "MADV_PAGEOUT still asks whether a page was referenced",
    "stat_step": "steps in which reclaim sees its counters grow, because each CPU adds up its own first",
    "stat_flush": "when reclaim sees what its counters have become",
    "shadow_before_age": "the eviction shadow is taken before the clock of evictions advances",
}

_VALUE_WORDS: dict[str, dict[int, str]] = {
    "stat_step": {0: "none"},
    "stat_flush": {0: "with the step", 1: "at the start of each pass", 2: "when somebody reads memory.stat"},
}


def setting(switch: str, value: bool | int | str) -> str:
    """A switch's value in words: ``yes``, ``maybe pinned``, ``31``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _VALUE_WORDS.get(switch, {}).get(value, str(value)) if isinstance(value, int) else value


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One reuse policy; immutable, picklable.  Made by :func:`load_policy`."""

    name: str
    summary: str
    write_fault: tuple[str, ...]
    swap_in: tuple[str, ...]
    switches: Switches
    sources: tuple[str, ...] = ()

    @cached_property
    def write_fault_checks(self) -> np.ndarray:
        """The compiled write-fault list: CHECK records, ended by CHECK_END; read-only."""
        return _frozen(compile_list(self.write_fault, "write_fault", self.name))

    @cached_property
    def swap_in_checks(self) -> np.ndarray:
        """The compiled swap-in list: CHECK records, ended by CHECK_END; read-only."""
        return _frozen(compile_list(self.swap_in, "swap_in", self.name))

    @cached_property
    def hash(self) -> str:
        """Of what the policy does; name, summary and sources do not count."""
        behaviour = {
            key: value for key, value in self.to_dict().items() if key in ("write_fault", "swap_in", "switches")
        }
        return hashlib.sha256(msgspec.json.encode(behaviour, order="sorted")).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Plain data with the checks in canonical spelling; ``policy_from_dict`` of it gives the policy back."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        for kind in ("write_fault", "swap_in"):
            values[kind] = [format_check(record, kind) for record in getattr(self, f"{kind}_checks")[:-1]]
        return values

    def __reduce__(self) -> tuple[Any, ...]:
        return policy_from_dict, (msgspec.to_builtins(self),)

    def __repr__(self) -> str:
        return f"Policy({self.name!r}: {'; '.join(self.write_fault)})"


def policy_names() -> tuple[str, ...]:
    """Names of the built-in policies, history first, the two bounds last."""
    found = {path.stem for path in _BUILT_IN.glob("*.toml")}
    return (*(name for name in _ORDER if name in found), *sorted(found - set(_ORDER)))


def load_policy(name_or_path: str | os.PathLike[str]) -> Policy:
    """A built-in policy by name, a user's by the path of its TOML file, or a composition.

    A composition starts from a policy and replaces parts: ``linux-5.10+write_fault=linux-5.7`` has the checks
    of 5.7 in an otherwise 5.10 kernel, ``linux-6.1+switch.unmap_drains=false`` changes one switch,
    ``linus-2022+swap_in=swapin-draft-2022`` another list.

    Raises
    ------
    PolicyError
        unknown name (with the nearest), or what is wrong in the file
    """
    base, *changes = os.fspath(name_or_path).split("+")
    values = _read(base)
    for change in changes:
        key, equals, value = change.partition("=")
        if key in ("write_fault", "swap_in") and equals:
            values[key] = _read(value)[key]
        elif key.startswith("switch.") and equals:
            values["switches"] = dict(values["switches"]) | {key.removeprefix("switch."): _scalar(value)}
        else:
            raise PolicyError(
                str(name_or_path),
                f"+{change}",
                "not a change",
                "write +write_fault=POLICY, +swap_in=POLICY or +switch.NAME=VALUE",
            )
    if changes:
        values["name"] = str(name_or_path)
        values["summary"] = f"{values['summary']} (changed: {', '.join(changes)})"
    return policy_from_dict(values, str(name_or_path))


def policy_from_dict(values: dict[str, Any], file: str | None = None) -> Policy:
    """A policy from plain data, checked as a file is; *file* is named in errors."""
    file = file or str(values.get("name", "<data>"))
    _check_keys(values, Policy.__struct_fields__, ("sources",), file, "")
    switches = values["switches"]
    if not isinstance(switches, dict):
        raise PolicyError(file, "switches", "not a table", "write a [switches] section")
    _check_keys(switches, Switches.__struct_fields__, (), file, "switches.")
    for key in ("write_fault", "swap_in"):
        if not isinstance(values[key], list | tuple):
            raise PolicyError(
                file,
                key,
                f"{values[key]!r} is not a list",
                'write a list of checks, such as ["copy if refs != 1", "reuse"]',
            )
        for i, text in enumerate(values[key]):
            if not isinstance(text, str):
                raise PolicyError(
                    file, f"{key}[{i}]", f"{text!r} is not a check", "write text, such as 'copy if refs != 1'"
                )
    try:
        policy = msgspec.convert(values, Policy)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$.")
        raise PolicyError(file, where.rstrip("`"), problem, _allowed(where.rstrip("`"))) from None
    if not 0 <= policy.switches.batch <= 1023 or not 0 <= policy.switches.stat_step <= 1 << 20:
        raise PolicyError(
            file,
            "switches",
            "batch or stat_step out of range",
            "batch is 0 to 1023 (kernels: 15, 31), stat_step 0 to 1048576",
        )
    compile_list(policy.write_fault, "write_fault", file)
    compile_list(policy.swap_in, "swap_in", file)
    return policy


def _read(name_or_path: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Plain data of a built-in name or a file, with ``based_on`` resolved."""
    path = _BUILT_IN / f"{name_or_path}.toml"
    if name_or_path not in policy_names():
        path = Path(name_or_path)
        if path.suffix != ".toml" or not path.exists():
            close = difflib.get_close_matches(name_or_path, policy_names(), 1)
            raise PolicyError(
                name_or_path,
                "",
                "no such policy" if path.suffix != ".toml" else "no such file",
                (f"did you mean {close[0]}? " if close else "")
                + f"built in are {', '.join(policy_names())}; or give the path of a .toml file",
            )
    if name_or_path in seen:
        raise PolicyError(name_or_path, "based_on", "is based on itself", "break the circle")
    try:
        if not path.is_file():
            raise PolicyError(name_or_path, "", "is not a regular file", "give a TOML file")
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise PolicyError(name_or_path, "", f"is larger than {_MAX_BYTES} bytes", "a policy is a page of text")
        values = tomllib.loads(data.decode())
    except OSError as error:
        raise PolicyError(name_or_path, "", f"cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # ValueError: of TOML, of UTF-8, of a number with too many digits
        raise PolicyError(name_or_path, "", f"is not TOML: {error}") from None
    base = values.pop("based_on", None)
    if base is None:
        return values
    if not isinstance(base, str) or len(seen) > 8:
        raise PolicyError(name_or_path, "based_on", f"{base!r}", "write the name of a policy")
    if base not in policy_names():
        if Path(base).suffix != ".toml":
            close = difflib.get_close_matches(base, policy_names(), 1)
            raise PolicyError(
                name_or_path,
                "based_on",
                f"there is no policy {base!r}",
                (f"did you mean {close[0]}? " if close else "") + "write a built-in policy or the path of a .toml file",
            )
        base = str(path.parent / base)  # an absolute path stays as it is
    return (
        _read(base, (*seen, name_or_path))
        | {"summary": values.get("summary", f"based on {base}")}
        | values
        | {"switches": _read(base, (*seen, name_or_path))["switches"] | values.get("switches", {})}
    )


def _check_keys(
    values: dict[str, Any], known: tuple[str, ...], optional: tuple[str, ...], file: str, prefix: str
) -> None:
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            raise PolicyError(
                file,
                f"{prefix}{key}",
                "unknown key",
                (f"did you mean {close[0]!r}? " if close else "") + f"allowed are {', '.join(known)}",
            )
    for key in known:
        if key not in values and key not in optional:
            raise PolicyError(file, f"{prefix}{key}", "missing", 'write it, or inherit it with based_on = "NAME"')


def _allowed(where: str) -> str:
    name = where.removeprefix("switches.")
    if name not in Switches.__struct_fields__:
        return ""
    kind = msgspec.inspect.type_info(Switches).fields[Switches.__struct_fields__.index(name)].type  # type: ignore[attr-defined]
    if isinstance(kind, msgspec.inspect.LiteralType):
        return "allowed are " + ", ".join(map(repr, kind.values))
    return "write true or false" if isinstance(kind, msgspec.inspect.BoolType) else "write a whole number"


def _scalar(text: str) -> bool | int | str:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
