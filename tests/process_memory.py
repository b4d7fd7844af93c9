"""How much memory processes take, as the kernel counts it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path


def _kilobytes(path: str, name: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise LookupError(name)


def resident() -> int:
    """Bytes of memory that this process has now."""
    return _kilobytes("/proc/self/status", "VmRSS:") << 10


def forget_peak() -> None:
    """From now on :func:`peak` tells of what is still to come."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Bytes of memory that this process has had at most."""
    return _kilobytes("/proc/self/status", "VmHWM:") << 10


def proportional(pids: Iterable[int]) -> int:
    """Bytes of memory that these processes take together, shared pages divided."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended
            total += _kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:") << 10
    return total
