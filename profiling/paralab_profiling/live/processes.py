"""What the operating system says of processes: time of CPU, and memory private and shared."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has used.

    Attributes:
        cpu_seconds: user and system time since it began.
        private: bytes that are its own.
        shared: bytes of shared memory that it has looked at, such as objects in the store.
    """

    cpu_seconds: float
    private: int
    shared: int


def use_of(pids: Iterable[int], proc: Path = Path("/proc")) -> dict[int, Use]:
    """What processes have used; those that ended, or cannot be looked at, are left out.

    Args:
        pids: of processes on this machine.
        proc: where Linux tells of processes; elsewhere it is missing, and nothing is known.
    """
    found = {}
    tick = os.sysconf("SC_CLK_TCK")
    for pid in pids:
        try:
            # The name stands in brackets and may hold anything, brackets too.
            fields = (proc / f"{pid}/stat").read_text().rpartition(")")[2].split()
            lines = (proc / f"{pid}/status").read_text().splitlines()
        except OSError:
            continue
        status = dict(line.split(":", 1) for line in lines if ":" in line)
        found[pid] = Use(
            (int(fields[11]) + int(fields[12])) / tick,
            _bytes(status, "RssAnon"),
            _bytes(status, "RssShmem"),
        )
    return found


def percent(before: Mapping[int, Use], now: Mapping[int, Use], seconds: float) -> dict[int, float]:
    """How much of one CPU each process used between two looks, in percent."""
    if seconds <= 0:
        return {}
    return {
        pid: 100 * max(0.0, use.cpu_seconds - before[pid].cpu_seconds) / seconds
        for pid, use in now.items()
        if pid in before
    }


def _bytes(status: Mapping[str, str], name: str) -> int:
    words = status.get(name, "").split()
    return int(words[0]) * 1024 if words else 0
