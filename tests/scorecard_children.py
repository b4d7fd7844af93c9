"""What tasks and actors do with processes, threads and signals, for row E17 of the scorecard.

Plain functions of a module that imports nothing heavy: they run in tasks, in actors, and in
processes that those start.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from typing import Any

import paralab


@paralab.remote
def add(n: int, more: int = 1) -> int:
    """A task for threads and loops to call."""
    return n + more


def square(n: int) -> int:
    """For pools."""
    return n * n


def is_initialized(_n: int) -> bool:
    """What a pool's process has of the session: nothing."""
    return paralab.is_initialized()


def forked(child: Callable[[], object]) -> tuple[str, int]:
    """What ``child`` has returned or raised in a forked child, and the exit code of that."""
    out, into = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of a fork beside threads
        pid = os.fork()
    if not pid:
        try:
            said = repr(child())
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        os.write(into, said.encode())
        os._exit(3)
    os.close(into)
    with os.fdopen(out) as file:
        said = file.read()
    return said, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork() -> Any:
    """A child that does nothing of ours."""
    return forked(lambda: 6 * 7)


def fork_calls() -> Any:
    """Children that call paralab; the parent's own calls work after that."""
    ref = add.remote(1)
    calls: list[Callable[[], Any]] = [
        lambda: add.remote(1),
        lambda: paralab.put(1),
        lambda: paralab.get(ref),
        lambda: paralab.wait([ref]),
        paralab.is_initialized,
    ]
    return [forked(call)[0] for call in calls], paralab.get([ref, add.remote(2)])


def leave(how: str) -> Any:
    """The exit code of a child that leaves the task's function in some way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if not pid:
        os.close(2)
        if how == "sys.exit":
            sys.exit(5)
        elif how == "raise":
            raise RuntimeError("in the child")
        return "from the child"
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def pool(method: str, folder: str) -> Any:
    """A multiprocessing.Pool."""
    tempfile.tempdir = folder  # a worker that is killed leaves what multiprocessing put there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with multiprocessing.get_context(method).Pool(2) as workers:
            return workers.map(square, range(5)), set(workers.map(is_initialized, range(4)))


def executor(method: str, folder: str) -> Any:
    """A ProcessPoolExecutor."""
    tempfile.tempdir = folder  # a worker that is killed leaves what multiprocessing put there
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as workers:
            return list(workers.map(square, range(5))), set(workers.map(is_initialized, range(4)))


def threads() -> Any:
    """Threads that call tasks."""
    with concurrent.futures.ThreadPoolExecutor(4) as workers:
        return list(workers.map(lambda n: paralab.get(add.remote(n)), range(8)))


def command() -> Any:
    """Other programs, one that succeeds and one that is killed."""
    one = subprocess.run([sys.executable, "-c", "print(5)"], capture_output=True, check=True)
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    other = subprocess.run([sys.executable, "-c", kill], check=False)
    return one.stdout, other.returncode


def loop() -> Any:
    """An event loop of the task's own, with refs and a process in it."""

    async def main() -> Any:
        results = await asyncio.gather(*[add.remote(n) for n in range(3)])
        program = [sys.executable, "-c", "print(7)"]
        process = await asyncio.create_subprocess_exec(*program, stdout=subprocess.PIPE)
        return results, (await process.communicate())[0]

    return asyncio.run(main())


def signals() -> Any:
    """Handlers of the task's own, of a signal, of the end of a child, and of Ctrl-C."""
    seen: list[int] = []
    numbers = (signal.SIGUSR2, signal.SIGCHLD, signal.SIGINT)
    before = [
        signal.signal(number, lambda number, _frame: seen.append(number)) for number in numbers
    ]
    os.kill(os.getpid(), signal.SIGUSR2)
    os.kill(os.getpid(), signal.SIGINT)
    subprocess.run(["true"], check=True)
    value = paralab.get(add.remote(1))
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
    return sorted(set(seen)) == sorted(numbers), value


class Outliving:
    """Starts threads that go on when the call is over; for an actor, which can be asked later."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.said: list[Any] = []

    def start(self) -> int:
        """Leaves a daemon and a normal thread behind."""

        def later() -> None:
            self.go.wait()
            try:
                self.said.append(paralab.get(add.remote(1)))
            except BaseException as error:
                self.said.append(error)

        self.threads = [threading.Thread(target=later, daemon=flag) for flag in (True, False)]
        for thread in self.threads:
            thread.start()
        return os.getpid()

    def told(self) -> list[Any]:
        """Lets them go on; what they have got."""
        self.go.set()
        for thread in self.threads:
            thread.join()
        return self.said


def family() -> list[int]:
    """Starts a child with a child of its own that both wait for ever; pids, the worker's first."""
    inner = "import os; print(os.getpid(), flush=True); input()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    kept.append(child)
    return [os.getpid(), child.pid, int(child.stdout.readline())]


kept: list[Any] = []
