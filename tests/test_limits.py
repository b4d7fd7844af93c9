"""Limits of memory and CPUs, read from trees such as the kernel shows."""

from __future__ import annotations

import mmap
import os
import subprocess
from pathlib import Path

import pytest

from paralab import limits

KB = 1024
MB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, "proc/meminfo", "MemTotal:  8192 kB\nMemFree: 10 kB\nMemAvailable:  4096 kB\n")
    return tmp_path


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_this_machine() -> None:
    assert 1 <= limits.cpu_count() <= (os.cpu_count() or 1)
    assert limits.memory_limit() > 64 * MB
    assert 0 < limits.memory_available() <= limits.memory_limit()


def test_machine_without_groups(root: Path) -> None:
    assert limits.memory_limit(root) == 8192 * KB
    assert limits.memory_available(root) == 4096 * KB
    assert limits.cpu_count(root) == len(os.sched_getaffinity(0))


def test_version_2_counts_every_group_up_to_the_root(root: Path) -> None:
    put(root, "proc/self/cgroup", "0::/a/b\n")
    put(root, "sys/fs/cgroup/a/memory.max", f"{4 * MB}\n")
    put(root, "sys/fs/cgroup/a/memory.current", f"{3 * MB}\n")
    put(root, "sys/fs/cgroup/a/memory.stat", f"anon 5\ninactive_file {MB}\n")
    put(root, "sys/fs/cgroup/a/b/memory.max", "max\n")
    put(root, "sys/fs/cgroup/a/cpu.max", "150000 100000\n")
    put(root, "sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
    assert limits.memory_limit(root) == 4 * MB
    assert limits.memory_available(root) == 2 * MB
    assert limits.cpu_count(root) == 1


def test_version_1(root: Path) -> None:
    put(root, "proc/self/cgroup", "5:memory:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/x\n")
    put(root, "sys/fs/cgroup/memory/job/memory.limit_in_bytes", f"{2 * MB}\n")
    put(root, "sys/fs/cgroup/memory/job/memory.usage_in_bytes", f"{MB}\n")
    put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    put(root, "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "50000\n")
    put(root, "sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n")
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert limits.memory_limit(root) == 2 * MB
    assert limits.memory_available(root) == MB
    assert limits.cpu_count(root) == 1, "half a CPU counts as one"


def test_a_gauge_reads_the_tightest_limit(root: Path) -> None:
    assert limits.MemoryGauge(root).read() == (4096 * KB, 8192 * KB, "the machine's")
    put(root, "proc/self/cgroup", "0::/a\n")
    put(root, "sys/fs/cgroup/a/memory.max", f"{4 * MB}\n")
    put(root, "sys/fs/cgroup/a/memory.current", f"{3 * MB}\n")
    put(root, "sys/fs/cgroup/a/memory.stat", "inactive_file 0\n")
    gauge = limits.MemoryGauge(root)
    assert gauge.read() == (3 * MB, 4 * MB, "the control group's")
    put(root, "sys/fs/cgroup/a/memory.current", f"{1 * MB}\n")
    assert gauge.read() == (4096 * KB, 8192 * KB, "the machine's")


def test_memory_of_processes() -> None:
    private = limits.private_memory(os.getpid())
    # Pages of its own: what an allocator gives may have been this process's before.
    held = mmap.mmap(-1, 50 * MB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, len(held), mmap.PAGESIZE):
        held[page] = 1
    assert 45 * MB < limits.private_memory(os.getpid()) - private < 60 * MB
    assert limits.proportional_memory(os.getpid()) > len(held)
    assert limits.private_memory(1 << 30) == limits.proportional_memory(1 << 30) == 0
    assert limits.descendants(1 << 30) == []
    before = {*limits.descendants(os.getpid())}
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert {*limits.descendants(os.getpid())} - before == {child.pid}
    held.close()


def test_container_that_sees_the_hosts_names(root: Path) -> None:
    put(root, "proc/self/cgroup", "0::/docker/0123/not/here\n")
    put(root, "sys/fs/cgroup/memory.max", f"{MB}\n")
    put(root, "sys/fs/cgroup/memory.current", f"{2 * MB}\n")
    assert limits.memory_limit(root) == MB
    assert limits.memory_available(root) == 0


def test_both_versions_side_by_side(root: Path) -> None:
    put(root, "proc/self/cgroup", "4:memory:/\n0::/\n")
    put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", f"{3 * MB}\n")
    put(root, "sys/fs/cgroup/unified/cgroup.procs", "")
    assert limits.memory_limit(root) == 3 * MB


def test_without_proc(tmp_path: Path) -> None:
    assert limits.memory_limit(tmp_path) > 64 * MB
    assert limits.cpu_count(tmp_path) >= 1
