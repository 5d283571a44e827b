# SPDX-License-Identifier: MIT
"""Replays long streams under a memory limit and sets the totals beside the kernel's own (docs/model-reclaim.md section 14).

A bulk record ``KERNEL-KIND.jsonl.xz`` lies beside ``streams/NAME.bin.xz``, the events it was made from: one line of
JSON, then one little-endian 32-bit word an event (operation << 28 | process << 20 | page).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cowfast._layout import EVENT, Op, Outcome
from cowfast.errors import TraceError
from cowfast.machine import Machine
from cowfast.oracle.records import open_record, read_lines
from cowfast.oracle.replay import guess
from cowfast.policy import Policy, load_policy
from cowfast.simulate import Simulator

OPS = np.array([Op.READ, Op.WRITE, Op.FORK, Op.EXIT, Op.DISCARD], np.uint8)
SLOTS = 64 * 256 - 1  # the 64 MiB of swap that the records were made with
MAX_STREAM = 1 << 28
COUNTED = ("copies", "reuses", "swapmaj", "pswpout")


@dataclass
class StreamAgreement:
    """One stream on one kernel: our totals, and the kernel's with ``_kernel``."""

    file: str
    stream: str
    policy: str
    copies: int
    copies_kernel: int
    reuses: int
    reuses_kernel: int
    swapmaj: int
    swapmaj_kernel: int
    pswpout: int
    pswpout_kernel: int
    kind: str = "bulk"

    def error(self, name: str) -> float | None:
        """How far our total is from the kernel's, as a share of it; None for totals below 50, where one fault is per cents."""
        ours, theirs = getattr(self, name), getattr(self, f"{name}_kernel")
        return abs(ours - theirs) / theirs if theirs >= 50 else None

    def to_dict(self) -> dict[str, Any]:
        """The row of ``cowfast verify --format json``."""
        return asdict(self)


def is_bulk(path: Path) -> bool:
    """Does this record hold totals of streams (not scripts)?"""
    for _, row in read_lines(path):
        return "stream" in row
    return False


def read_stream(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    """Header and events (EVENT array) of one stream."""
    if not path.is_file():
        raise TraceError(f"{path}: the stream that the record was made from is missing; it belongs beside the record")
    try:
        with open_record(path) as file:
            header = msgspec.json.decode(file.readline(1 << 16), type=dict[str, Any])
            data = file.read(MAX_STREAM)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TraceError(f"{path}: not a stream ({error})") from None
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
    ops = words >> 28
    if len(data) % 4 or (ops >= len(OPS)).any():
        raise TraceError(f"{path}: truncated, or word {int((ops >= len(OPS)).argmax())} is no event")
    events = np.zeros(len(words), EVENT)
    events["op"] = OPS[ops]
    events["pid"] = words >> 20 & 0xFF
    fork = events["op"] == Op.FORK
    events["page"] = np.where(fork | (events["op"] == Op.EXIT), 0, words & 0xFFFFF)
    events["arg"] = np.where(fork, words & 0xFFFFF, 0)
    return header, events


def totals(path: Path) -> dict[str, dict[str, int]]:
    """What the first boot of each stream counted: stream -> limit and totals."""
    found: dict[str, dict[str, int]] = {}
    current: dict[str, int] | None = None
    for number, row in read_lines(path):
        if "stream" in row:
            name = f"{row['stream']}"
            current = found.setdefault(name, {"limit": int(row["limit"])}) if name not in found else None
        elif current is not None:
            try:
                acc, vm = row["acc"], row["vm"]
                current |= {
                    "copies": acc["w_copy"],
                    "reuses": acc["w_reuse"],
                    "swapmaj": acc["r_swapmaj"] + acc["w_swapmaj"],
                    "pswpout": vm["pswpout"],
                }
            except (KeyError, TypeError) as error:
                raise TraceError(f"{path}, line {number}: no {error} in a record of a stream") from None
    return found


def verify_bulk(
    path: str | Path,
    policy: str | Policy | None = None,
    machine: Machine | None = None,
    engine: str = "fast",
    streams: Sequence[str] = (),
) -> list[StreamAgreement]:
    """Every stream (or those named) of a bulk record under the policy and swap device of its name, or the ones given.

    A write that swaps a page in and copies it at once counts as a swap-in, as in the records.
    """
    path = Path(path)
    guessed, swap = guess(path) if policy is None or machine is None else ("", {})
    loaded = policy if isinstance(policy, Policy) else load_policy(policy or guessed)
    rows = []
    for name, kernel in totals(path).items():
        if streams and name not in streams:
            continue
        header, events = read_stream(path.parent / "streams" / f"{name}.bin.xz")
        sizes: dict[str, Any] = {
            "memory": kernel["limit"],
            "space": int(header["pages"]),
            "processes": int(events["pid"].max()) + 1,
            "stat_flush_events": int(header.get("every_record", 500)),
        }
        here = machine.replace(**sizes) if machine else Machine(swap_slots=SLOTS, **swap, **sizes)
        simulator = Simulator(loaded, here, engine=engine)
        outcomes = np.zeros(len(events), np.uint32)
        simulator.run(events, outcomes=outcomes)
        in_place = (outcomes & Outcome.SWAP_IN) == 0
        ours = {
            "copies": int((((outcomes & Outcome.COPIED) != 0) & in_place).sum()),
            "reuses": int((((outcomes & Outcome.REUSED) != 0) & in_place).sum()),
            "swapmaj": int(((outcomes & Outcome.MAJOR) != 0).sum()),
            "pswpout": simulator.counters["swap_writes"],
        }
        numbers = {key: value for n in COUNTED for key, value in ((n, ours[n]), (f"{n}_kernel", kernel[n]))}
        rows.append(StreamAgreement(file=str(path), stream=name, policy=loaded.name, **numbers))  # type: ignore[arg-type]
    return rows
