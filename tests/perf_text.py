# SPDX-License-Identifier: MIT
"""Writes recordings line by line, as perf script does, so that a test reads like what happened."""

from __future__ import annotations

from pathlib import Path

HEAP, STACK, LIB = 0x5555_0000_0000, 0x7FFE_0000_0000, 0x7F00_0000_0000


class Recording:
    """Lines of perf script; every call is a microsecond after the one before."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = 100_000_000  # microseconds
        self.pfn = 0x1000

    def line(self, pid: int, what: str, tid: int | None = None, cpu: int = 0) -> None:
        self.now += 1
        seconds, micro = divmod(self.now, 1_000_000)
        self.lines.append(f"  prog {pid:5}/{tid or pid:<5} [{cpu:03}] {seconds:5}.{micro:06}: {what}")

    def wait(self, microseconds: int) -> None:
        self.now += microseconds

    def fault(
        self, pid: int, address: int, code: int, tid: int | None = None, cpu: int = 0, kernel: bool = False
    ) -> None:
        name = "page_fault_kernel" if kernel else "page_fault_user"
        self.line(pid, f"  exceptions:{name}: address={address:#x} ip=0x401000 error_code={code:#x}", tid, cpu)

    def alloc(self, pid: int, zero: bool, tid: int | None = None, cpu: int = 0, flags: str = "") -> None:
        self.pfn += 1
        flags = flags or "GFP_HIGHUSER_MOVABLE|" + ("__GFP_ZERO|" if zero else "") + "__GFP_COMP"
        self.line(
            pid,
            f"kmem:mm_page_alloc: page={self.pfn:#x} pfn={self.pfn:#x} order=0 migratetype=1 gfp_flags={flags}",
            tid,
            cpu,
        )

    def touch(self, pid: int, address: int, cpu: int = 0) -> None:
        """First write to an anonymous page."""
        self.fault(pid, address, 6, cpu=cpu)
        self.alloc(pid, zero=True, cpu=cpu)

    def copy(self, pid: int, address: int, cpu: int = 0) -> None:
        self.fault(pid, address, 7, cpu=cpu)
        self.alloc(pid, zero=False, cpu=cpu)

    def reuse(self, pid: int, address: int, cpu: int = 0) -> None:
        self.fault(pid, address, 7, cpu=cpu)

    def mmap(self, pid: int, start: int, length: int, protection: str = "rw-p", name: str = "//anon") -> None:
        offset = start if name.startswith("//") else 0
        self.line(
            pid,
            f"PERF_RECORD_MMAP2 {pid}/{pid}: [{start:#x}({length:#x}) @ {offset:#x} 00:00 0 0]: {protection} {name}",
        )

    def fork(self, parent: int, child: int, tid: int | None = None) -> None:
        self.line(parent, f"PERF_RECORD_FORK({child}:{tid or child}):({parent}:{parent})")

    def exec(self, pid: int, vfork: bool = False) -> None:
        if not vfork:
            self.line(pid, "mmap:exit_mmap: mt_mod 0xffff888105660cc0, DESTROY")
        self.line(pid, f"PERF_RECORD_COMM exec: prog:{pid}/{pid}")

    def exit(self, pid: int, parent: int = 1, tid: int | None = None) -> None:
        self.line(pid, f"PERF_RECORD_EXIT({pid}:{tid or pid}):({parent}:{parent})", tid)

    def exit_mmap(self, pid: int) -> None:
        self.line(pid, "mmap:exit_mmap: mt_mod 0xffff888105660cc0, DESTROY")

    def gone(self, pid: int) -> None:
        self.exit(pid)
        self.exit_mmap(pid)

    def munmap(self, pid: int, start: int, length: int) -> None:
        self.line(pid, f"syscalls:sys_enter_munmap: addr: {start:#x}, len: {length:#010x}")

    def madvise(self, pid: int, start: int, length: int, advice: int) -> None:
        self.line(
            pid, f"syscalls:sys_enter_madvise: start: {start:#x}, len_in: {length:#010x}, behavior: {advice:#010x}"
        )

    def write(self, path: Path) -> Path:
        path.write_text("\n".join(self.lines) + "\n")
        return path
