"""Calls of the operating system, each really made where this system has it."""

from __future__ import annotations

import os
import pickle
import resource
import select
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from paralab import platform

MB = 1 << 20


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("way", ["memfd", "segment"])
def test_nameless_memory_has_no_name(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "segment":
        monkeypatch.delattr(os, "memfd_create")
    fd = platform.nameless_memory(4 * MB)
    try:
        assert os.fstat(fd).st_size == 4 * MB
        assert not os.get_inheritable(fd)
        platform.allocate_pages(fd, 0, MB)
        assert os.fstat(fd).st_blocks * 512 == MB
        platform.drop_pages(fd, 0, MB)
        assert os.fstat(fd).st_blocks == 0
    finally:
        os.close(fd)


def test_missing_call_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    with pytest.raises(platform.UnsupportedPlatformError, match="has no pidfd_open") as got:
        platform.open_process(os.getpid())
    assert isinstance(got.value, OSError)
    with pytest.raises(platform.UnsupportedPlatformError, match="has no no_such_call"):
        platform._native("no_such_call", "test")


def test_failed_call_raises_with_its_number() -> None:
    with pytest.raises(OSError, match="fallocate: Bad file descriptor"):
        platform.drop_pages(-1, 0, 4096)
    with pytest.raises(OSError, match="madvise: Cannot allocate"):
        platform.map_pages(0, 4096)


def test_process_descriptor_tells_of_death() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    fd = platform.open_process(child.pid)
    try:
        assert not select.select([fd], [], [], 0)[0]
        child.kill()
        assert select.select([fd], [], [], 30)[0]
    finally:
        os.close(fd)
        child.communicate()


def test_the_times_of_a_thread() -> None:
    mine = threading.get_native_id()
    first = platform.thread_times(mine)
    assert first is not None
    assert sum(range(10**6))
    second = platform.thread_times(mine)
    assert second is not None
    assert second[0] >= first[0] > 0
    assert second[1] >= first[1] >= 0
    # Not a thread of this process, no more than one that has ended.
    assert platform.thread_times(os.getppid()) is None


def test_name_and_parent() -> None:
    code = (
        "import os, signal; from paralab import platform\n"
        "platform.name_thread('paralab:a-worker-of-long-name')\n"
        "platform.die_with_parent(os.getppid(), signal.SIGKILL)\n"
        "platform.lower_thread_priority()\n"
        "print(open('/proc/self/comm').read().strip(), os.getpriority(os.PRIO_PROCESS, 0))\n"
        "try: platform.die_with_parent(1 << 22, signal.SIGKILL)\n"
        "except ProcessLookupError as error: print(error.args[1])"
    )
    first, second = run_python(code).splitlines()
    assert first == "paralab:a-worke 19"
    assert "instead of 4194304" in second


def test_child_dies_with_its_parent() -> None:
    # The parent starts a child that ties itself to it and says its pid, then is killed.
    child = (
        "import os, signal, sys; from paralab import platform\n"
        "platform.die_with_parent(os.getppid(), signal.SIGKILL)\n"
        "print(os.getpid(), flush=True); signal.pause()"
    )
    parent = (
        "import subprocess, sys, signal\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "signal.pause()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    fd = platform.open_process(pid)
    try:
        os.kill(process.pid, signal.SIGKILL)
        assert select.select([fd], [], [], 30)[0]
    finally:
        os.close(fd)
        process.communicate()


def test_orphans_are_adopted() -> None:
    code = (
        "import os; from paralab import platform\n"
        "platform.adopt_orphans()\n"
        "r, w = os.pipe()\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    if not os.fork():\n"
        "        os.read(r, 1)\n"
        "        os._exit(7)\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "os.write(w, b'x')\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]))"
    )
    assert run_python(code) == "7"


def test_peer_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = socket.socketpair()
    with left, right:
        expected = (os.getpid(), os.getuid(), os.getgid())
        assert platform.peer_credentials(left) == expected
        monkeypatch.delattr(socket, "SO_PEERCRED")
        with pytest.raises(platform.UnsupportedPlatformError, match="SO_PEERCRED"):
            platform.peer_credentials(left)


def test_descriptor_limit_is_raised_and_never_lowered() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = 256
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
        assert platform.raise_descriptor_limit(low + 10) == low + 10
        assert platform.raise_descriptor_limit(low) == low + 10
        limit = platform.raise_descriptor_limit()
        assert limit == (sys.maxsize if hard == resource.RLIM_INFINITY else hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("way", ["eventfd", "pipe"])
def test_bell(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "pipe":
        monkeypatch.delattr(os, "eventfd")
    bell = platform.Bell()
    try:
        bell.silence()
        assert not select.select([bell.fd], [], [], 0)[0]
        for _ in range(20_000):  # more than a pipe holds
            bell.ring()
        assert select.select([bell.fd], [], [], 0)[0]
        while select.select([bell.fd], [], [], 0)[0]:
            bell.silence()
        bell.ring()
        assert select.select([bell.fd], [], [], 0)[0]
    finally:
        bell.close()
        bell.close()


def test_numeric_threads_are_found_and_set() -> None:
    assert np.dot(np.ones(2), np.ones(2)) == 2.0
    threads = platform.NumericThreads()
    assert any("openblas" in path or "mkl" in path for path in threads.libraries)
    found = threads.libraries
    threads.find()
    assert threads.libraries == found
    with pytest.raises(ValueError, match="at least 1"):
        threads.set(0)
    counted = run_python(
        "import numpy, os; from paralab import platform\n"
        "threads = platform.NumericThreads()\n"
        "def use():\n"
        "    numpy.ones((600, 600)) @ numpy.ones((600, 600))\n"
        "    return len(os.listdir('/proc/self/task'))\n"
        "threads.set(1); one = use(); threads.set(3); print(one, use())"
    )
    one, three = map(int, counted.split())
    assert three >= max(one, 3)


def test_error_pickles() -> None:
    error = platform.UnsupportedPlatformError("pidfd_open", "see deaths")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
