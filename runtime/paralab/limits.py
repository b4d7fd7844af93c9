"""How much memory and how many CPUs this process may use.

A container sees the whole machine's figures; what it may really use stands in its control
groups.  Each group bounds the ones below it, so the tightest on the way from ours to the root
counts.  Version 2 is one tree for everything, version 1 has one per controller, and some
machines have both.  The names in ``/proc/self/cgroup`` may be those of the host, where our
mount does not have them: then the mount's own root is ours.

All functions take the root of the file system as an argument, so that tests can bring theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from os.path import isdir, join

ROOT = "/"
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_count(root: str | os.PathLike[str] = ROOT) -> int:
    """CPUs for our use: those we may run on, or fewer if the control group's quota says so.

    A quota that is no whole number is rounded down, but at least 1.
    """
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quotas = [float(allowed)]
    for folder in _groups(root, "cpu"):
        quota, period = _words(join(folder, "cpu.max"), 2) or (
            *(_words(join(folder, "cpu.cfs_quota_us"), 1) or ("-1",)),
            *(_words(join(folder, "cpu.cfs_period_us"), 1) or ("0",)),
        )
        if quota.isdigit() and period.isdigit() and int(period):
            quotas.append(int(quota) / int(period))
    return max(1, int(min(quotas)))


def memory_limit(root: str | os.PathLike[str] = ROOT) -> int:
    """Bytes of memory that we may use at most: the machine's, or the control group's limit."""
    return min([_machine("MemTotal", root), *(limit for _, limit in _memory_groups(root))])


class MemoryGauge:
    """Reads again and again how much memory is in use, of what; it looks for the groups once."""

    def __init__(self, root: str | os.PathLike[str] = ROOT) -> None:
        self._root = root
        self._total = _machine("MemTotal", root)
        self._groups = [group for group, limit in _memory_groups(root) if limit < self._total]

    def read(self) -> tuple[int, int, str]:
        """Bytes in use, bytes that there are, and whose limit that is: of the tightest one."""
        used = self._total - _machine("MemAvailable", self._root)
        readings = [(used, self._total, "the machine's")]
        for folder, limit in _limits_of(self._groups):
            readings.append((limit - _free_in(folder, limit), limit, "the control group's"))
        return max(readings, key=lambda reading: reading[0] / max(1, reading[1]))


def private_memory(pid: int) -> int:
    """Bytes that only this process has, or shares with the one that forked it; 0 if it is gone.

    Cheap: what a fork shares counts for each, see :func:`proportional_memory`.
    """
    words = _text(f"/proc/{pid}/statm").split()
    return (int(words[1]) - int(words[2])) * _PAGE if words else 0


def proportional_memory(pid: int) -> int:
    """Bytes of memory that is this process's own, shared ones in equal parts; files are not.

    Takes some milliseconds for a process with gigabytes.
    """
    kilobytes = _field(f"/proc/{pid}/smaps_rollup", "Pss_Anon:")
    return kilobytes * 1024 or private_memory(pid)


def descendants(pid: int) -> list[int]:
    """Pids of what a process has started, and what these have."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        for child in map(int, _text(f"/proc/{pid}/task/{thread}/children").split()):
            found += [child, *descendants(child)]
    return found


def memory_available(root: str | os.PathLike[str] = ROOT) -> int:
    """Bytes of memory that can be had now without swapping or running into a limit."""
    free = [_machine("MemAvailable", root)]
    free += [_free_in(folder, limit) for folder, limit in _memory_groups(root)]
    return max(0, min(free))


def _free_in(folder: str, limit: int) -> int:
    used = _number(join(folder, "memory.current"))
    if used is None:
        used = _number(join(folder, "memory.usage_in_bytes")) or 0
    # The page cache of files that nobody used lately is given up when memory is short.
    # Version 1 has one figure for the group alone and a total with those below it.
    stat = join(folder, "memory.stat")
    cache = _field(stat, "total_inactive_file") or _field(stat, "inactive_file")
    return limit - used + min(cache, used)


def _memory_groups(root: str | os.PathLike[str]) -> Iterator[tuple[str, int]]:
    return _limits_of(_groups(root, "memory"))


def _limits_of(folders: Iterable[str]) -> Iterator[tuple[str, int]]:
    for folder in folders:
        limit = _number(join(folder, "memory.max"))
        if limit is None:
            limit = _number(join(folder, "memory.limit_in_bytes"))
        if limit is not None:
            yield folder, limit


def _groups(root: str | os.PathLike[str], controller: str) -> Iterator[str]:
    """Folders of our control groups for ``controller``, from ours up to the mount's root."""
    mounts = join(root, "sys/fs/cgroup")
    for line in _text(join(root, "proc/self/cgroup")).splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            unified = join(mounts, "unified")
            mount = unified if isdir(unified) else mounts
        elif controller in controllers.split(","):
            mount = join(mounts, controller)
        else:
            continue
        parts = [part for part in name.split("/") if part]
        while parts:
            folder = join(mount, *parts)
            if isdir(folder):
                yield folder
            parts.pop()
        if isdir(mount):
            yield mount


def _machine(name: str, root: str | os.PathLike[str]) -> int:
    kilobytes = _field(join(root, "proc/meminfo"), f"{name}:")
    if kilobytes:
        return kilobytes * 1024
    # Elsewhere than on Linux the standard library knows the total only.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _words(path: str, count: int) -> tuple[str, ...] | None:
    words = tuple(_text(path).split())
    return words if len(words) == count else None


def _number(path: str) -> int | None:
    """The number in ``path``; None if there is none, as "max" for no limit."""
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _field(path: str, name: str) -> int:
    """The number behind ``name`` at the start of a line of ``path``, or 0."""
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name:
            return int(words[1])
    return 0
