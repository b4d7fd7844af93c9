"""After every test: is anything left that was not there before?

Looked at are processes, file descriptors, names in /dev/shm, entries of the temporary folder
and threads.  The test process makes itself a *child subreaper*, so a process that lost its
parent becomes our child instead of vanishing from view; it has a temporary folder of its own
(``TMPDIR``) and looks only at its own descendants.  So the check holds under xdist, where
several test processes run at once.

When what is compared::

    setup of a test        snapshot, unless one is being kept
    test, fixtures end     wait for what is just ending, then compare with the snapshot
    while postponed()      keep the snapshot; compare at the first teardown after its end

``postponed`` is for fixtures that outlive a test, such as ``session`` in conftest.py: the
snapshot is then the one from before the fixture, and the comparison comes after its end.

Nothing sleeps a guessed time: processes are awaited by pidfd and threads by join, in that
order, because what a process holds goes with it.  What is still there at the deadline is
named, processes are then killed, and the test fails.  Linux only: elsewhere nothing is looked at.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import re
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

GRACE = 60.0
"""Seconds that what ends may take on a machine that has no time for it; a leak stays for ever."""

AT_ONCE = 2.0
"""Seconds after which garbage is collected, which may be what keeps something from its end."""

LINUX = sys.platform == "linux"
PR_SET_CHILD_SUBREAPER = 36
SHM = Path("/dev/shm")
SHARED = "shared memory"
FOREIGN_THREADS = ("pytest_timeout ",)
"""Starts of names of threads that belong to the test runner."""


def wait_ended(pid: int, timeout: float = GRACE) -> bool:
    """Waits until process ``pid`` has ended (a zombie has); False after ``timeout`` seconds."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], max(0.0, timeout))[0])
    finally:
        os.close(descriptor)


def children(pid: int) -> list[int]:
    """The direct children of a process, zombies included."""
    found: list[int] = []
    # A thread may end while its file is read.
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def descendants(pid: int) -> set[int]:
    """All processes below ``pid``, zombies included."""
    found: set[int] = set()
    todo = children(pid)
    while todo:
        child = todo.pop()
        if child not in found:
            found.add(child)
            todo += children(child)
    return found


def describe_process(pid: int) -> str:
    """``pid 12 (S, parent 3): python -m ...`` for a message."""
    try:
        words = (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
        state, parent = rest.split()[:2]
    except (OSError, ValueError):
        return f"pid {pid}"
    return f"pid {pid} ({state}, parent {parent}): {words.strip()[:200] or name}"


def reap() -> None:
    """Takes the exit codes of all children that have ended, ours and adopted ones."""
    with contextlib.suppress(ChildProcessError):
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is not None:
            pass


def descriptors() -> dict[int, str]:
    """Open descriptors and what they point to."""
    found: dict[int, str] = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listdir itself used
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


def kinds(found: dict[int, str]) -> Counter[str]:
    """How many descriptors there are of each kind; a file counts under its path.

    Sockets and pipes carry a number that changes when one is replaced by its like, which is
    no leak.
    """
    return Counter(target.partition(":[")[0] for target in found.values())


def names_in(folder: Path) -> set[str]:
    """Names of all that lies in ``folder``, at any depth, relative to it."""
    return {
        os.path.relpath(os.path.join(where, name), folder)
        for where, folders, files in os.walk(folder)
        for name in folders + files
    }


def used_by_others(name: str, ours: set[int]) -> bool:
    """Whether a process that is not ours has the shared memory ``name`` open or mapped.

    A named semaphore is mapped under another name than it has: its inode tells.  A name that holds
    the number of a process, as joblib's folders do, is that one's.
    """
    pids = set(map(int, re.findall(r"\d+", name)))
    if any(pid not in ours and Path(f"/proc/{pid}").exists() for pid in pids if 1 < pid < 1 << 22):
        return True
    target = str(SHM / name)
    try:
        inode = f" {os.stat(target).st_ino} "
    except FileNotFoundError:
        return True  # others' semaphores have a name for a moment only
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) in ours:
            continue
        with contextlib.suppress(OSError):
            for line in (process / "maps").read_text().splitlines():
                if inode in line and str(SHM) in line:
                    return True
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(descriptor) == target:
                        return True
    return False


@dataclass(frozen=True)
class Snapshot:
    """What there is at one moment."""

    test: str
    folder: Path
    processes: frozenset[int] = field(default_factory=lambda: frozenset(descendants(os.getpid())))
    descriptors: dict[int, str] = field(default_factory=descriptors)
    shared: frozenset[str] = field(default_factory=lambda: frozenset(os.listdir(SHM)))
    files: frozenset[str] = frozenset()
    threads: frozenset[threading.Thread] = field(
        default_factory=lambda: frozenset(threading.enumerate())
    )

    def new_processes(self) -> set[int]:
        return descendants(os.getpid()) - self.processes

    def new_threads(self) -> list[threading.Thread]:
        return [
            thread
            for thread in threading.enumerate()
            if thread not in self.threads and not thread.name.startswith(FOREIGN_THREADS)
        ]

    def settle(self, deadline: float) -> None:
        """Waits until new processes, then new threads, have ended; reaps what has ended.

        Waiting for direct children is enough: whoever loses its parent becomes one.
        """
        reap()
        while new := self.new_processes().intersection(children(os.getpid())):
            if not all(wait_ended(pid, deadline - time.monotonic()) for pid in new):
                break
            reap()
        for thread in self.new_threads():
            thread.join(max(0.0, deadline - time.monotonic()))

    def leaks(self) -> list[str]:
        """One line for each thing that is there now and was not then."""
        found = [f"process {describe_process(pid)}" for pid in sorted(self.new_processes())]
        found += [f"thread {thread!r}" for thread in self.new_threads()]
        now = descriptors()
        for kind, number in sorted((kinds(now) - kinds(self.descriptors)).items()):
            examples = [
                f"{descriptor} -> {target}"
                for descriptor, target in now.items()
                if target.startswith(kind) and self.descriptors.get(descriptor) != target
            ]
            found.append(f"{number} descriptor(s) {kind}: {', '.join(examples)}")
        ours = descendants(os.getpid()) | {os.getpid()}
        found += [
            f"{SHARED} {SHM / name}"
            for name in sorted(set(os.listdir(SHM)) - self.shared)
            if not used_by_others(name, ours) and (SHM / name).exists()
        ]
        found += [
            f"temporary file {self.folder / name}"
            for name in sorted(names_in(self.folder) - self.files)
        ]
        return found


class LeakCheck:
    """The pytest plugin; fixtures reach it as ``leak_check``."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.gettempdir())
        self.before: Snapshot | None = None
        self.holders: list[str] = []

    @contextlib.contextmanager
    def postponed(self, holder: str) -> Iterator[None]:
        """While this is open, nothing is compared; then everything since the snapshot."""
        self.holders.append(holder)
        try:
            yield
        finally:
            self.holders.remove(holder)

    def snapshot(self, test: str) -> Snapshot:
        return Snapshot(test, self.folder, files=frozenset(names_in(self.folder)))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        if self.before is None:
            self.before = self.snapshot(item.nodeid)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        result = yield
        if not self.holders and self.before is not None:
            before, self.before = self.before, None
            self.compare(before, item.nodeid)
        return result

    def compare(self, before: Snapshot, test: str) -> None:
        # The helper process that the standard library starts once and keeps is no leak.
        tracker = sys.modules.get("multiprocessing.resource_tracker")
        if tracker and tracker._resource_tracker._pid in before.new_processes():
            tracker._resource_tracker._stop()
        now = time.monotonic()
        before.settle(now + min(GRACE, AT_ONCE))
        if not before.leaks():
            return
        # Perhaps only garbage in a cycle that has not been collected: that is no leak.
        gc.collect()
        deadline = now + GRACE
        before.settle(deadline)
        while found := before.leaks():
            # A name may be that of a process of others, ended this moment, who tidies up behind it.
            if time.monotonic() > deadline or any(SHARED not in each for each in found):
                break
            time.sleep(0.02)
        else:
            return
        for pid in before.new_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_ended(pid)
        reap()
        since = "" if before.test == test else f", all tests since {before.test}"
        pytest.fail(f"left behind by {test}{since}:\n  " + "\n  ".join(found), pytrace=False)


NAME = "paralab-leak-check"


@pytest.fixture(scope="session")
def leak_check(pytestconfig: pytest.Config) -> LeakCheck:
    """The leak check itself, for fixtures that need ``postponed``."""
    plugin = pytestconfig.pluginmanager.get_plugin(NAME)
    # Where nothing is looked at (not Linux), nothing is postponed either.
    return plugin if isinstance(plugin, LeakCheck) else LeakCheck()


def pytest_configure(config: pytest.Config) -> None:
    if not LINUX:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        raise pytest.UsageError("the leak check needs a kernel with CONFIG_PROC_CHILDREN")
    # pytest keeps the tmp_path folders of the last runs: not among what is watched.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    check = LeakCheck()
    check.folder = Path(tempfile.mkdtemp(prefix="pl-"))
    config.pluginmanager.register(check, NAME)
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = tempfile.tempdir = str(check.folder)

    def restore() -> None:
        tempfile.tempdir = before
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
        shutil.rmtree(check.folder, ignore_errors=True)

    config.add_cleanup(restore)
