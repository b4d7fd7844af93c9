"""What the benchmark asks of the system: CPU clocks, affinity, memory, processes.  Linux.

The processes of one side are found by a mark in their environment, which children inherit:
neither a new session nor a dead parent hides them.
"""

from __future__ import annotations

import os
import platform
import select
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

MARK = "PARALAB_BENCHMARK_MARK"
_PROC = Path("/proc")
_MEASURED = ("paralab", "grpcio", "numpy", "cloudpickle", "loky", "ray", "distributed")


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time, user + system, of all threads of ``pids`` since they started.

    Nanoseconds instead of the 10 ms of ``/proc/PID/stat``: the clock that
    ``clock_getcpuclockid`` returns, whose id Linux makes of the pid.

    Raises:
        OSError: a process is gone.
    """
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


def two_cores() -> tuple[int, int] | None:
    """The two cores that driver and worker are pinned to, or None where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else None


def _set_affinity(pid: int, cores: Iterable[int]) -> None:
    with suppress(FileNotFoundError):
        for thread in list((_PROC / str(pid) / "task").iterdir()):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), cores)


@contextmanager
def pinned(workers: Iterable[int]) -> Iterator[bool]:
    """Inside, every thread of this process runs on one core, those of ``workers`` on another.

    Children that start inside inherit it, so start them before.  Yields whether it was done;
    it is not on a single core.
    """
    cores = two_cores()
    if cores is None:
        yield False
        return
    everywhere = os.sched_getaffinity(0)
    pids = [os.getpid(), *workers]
    try:
        for pid, core in zip(pids, [cores[0]] + [cores[1]] * (len(pids) - 1), strict=True):
            _set_affinity(pid, {core})
        yield True
    finally:
        for pid in pids:
            _set_affinity(pid, everywhere)


def marked_processes(mark: str) -> list[int]:
    """The pids of living processes that were started under ``mark``, this one left out."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return sorted(found)


def _wait_any(pids: Iterable[int], seconds: float) -> None:
    """Returns once one of ``pids`` has ended, or after ``seconds``."""
    with ExitStack() as stack:
        ended = select.poll()
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                return
            stack.callback(os.close, descriptor)
            ended.register(descriptor, select.POLLIN)
        ended.poll(seconds * 1000)


def end_marked(mark: str, grace: float) -> int:
    """Waits up to ``grace`` seconds for the processes under ``mark`` to end, then kills them.

    Returns:
        How many had to be killed.
    """
    deadline = time.monotonic() + grace
    killed: set[int] = set()
    while pids := marked_processes(mark):
        left = deadline - time.monotonic()
        if left <= 0:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed.update(pids)
        _wait_any(pids, max(left, 0.1))
    return len(killed)


def pss_bytes(pids: Iterable[int]) -> int:
    """Proportional set size of ``pids`` in bytes: shared pages count by their share."""
    total = 0
    for pid in pids:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    with suppress(OSError):
        for line in (_PROC / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def facts() -> dict[str, Any]:
    """Machine, Python, load and versions, for the header of the table."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": [round(value, 2) for value in os.getloadavg()],
        "versions": {name: v for name in _MEASURED if (v := _version(name)) is not None},
    }
