"""E14: however a task or a method ends, its caller gets the right error, and the next one works."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from typing import Any

import pytest

import paralab
from paralab.exceptions import ActorDiedError, TaskCancelledError, TaskError, WorkerCrashedError

SECONDS = 30.0
"""In which a caller has its answer, on a busy machine too."""


class OwnBase(BaseException):
    """What no handler for ``Exception`` catches."""


def recurse(n: int) -> int:
    return recurse(n + 1) + 1


def recurse_in_c(levels: int) -> Any:
    """A C function that calls itself by way of Python, until the stack of the process ends."""
    callback_type = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int)

    def deeper(n: int) -> int:
        return int(callback(n + 1))

    callback = callback_type(deeper)
    sys.setrecursionlimit(levels)
    return deeper(0)


def raises(error: BaseException | type[BaseException]) -> None:
    raise error


def by_signal(number: int) -> None:
    signal.pthread_kill(threading.get_ident(), number)
    threading.Event().wait(60)


ENDS: dict[str, Any] = {
    "sys.exit()": sys.exit,
    "sys.exit(3)": lambda: sys.exit(3),
    "sys.exit(text)": lambda: sys.exit("a reason"),
    "os._exit": lambda: os._exit(7),
    "os._exit(0)": lambda: os._exit(0),
    "SIGSEGV": lambda: ctypes.string_at(0),
    "SIGTERM": lambda: by_signal(signal.SIGTERM),
    "SIGKILL": lambda: by_signal(signal.SIGKILL),
    "SIGABRT": os.abort,
    "C stack overflow": lambda: recurse_in_c(10**9),
}
"""What ends the process: how that is told, and what the error says beside its type."""
SAID = {
    "sys.exit()": "exited with code 0",
    "sys.exit(3)": "exited with code 3",
    "sys.exit(text)": "exited with code 1",
    "os._exit": "exited with code 7",
    "os._exit(0)": "exited with code 0",
    "SIGSEGV": "signal 11 (SIGSEGV)",
    "SIGTERM": "signal 15 (SIGTERM)",
    "SIGKILL": "signal 9 (SIGKILL)",
    "SIGABRT": "signal 6 (SIGABRT)",
    "C stack overflow": "signal 11 (SIGSEGV)",
}
RAISED: dict[str, tuple[Any, type[BaseException]]] = {
    "Exception": (lambda: raises(ValueError("mine")), ValueError),
    "BaseException": (lambda: raises(BaseException("mine")), BaseException),
    "its own BaseException": (lambda: raises(OwnBase("mine")), OwnBase),
    "KeyboardInterrupt": (lambda: raises(KeyboardInterrupt), TaskCancelledError),
    "GeneratorExit": (lambda: raises(GeneratorExit), TaskError),
    "StopIteration": (lambda: raises(StopIteration(4)), StopIteration),
    "CancelledError": (lambda: raises(asyncio.CancelledError()), asyncio.CancelledError),
    "endless recursion": (lambda: recurse(0), RecursionError),
    "MemoryError": (lambda: raises(MemoryError), MemoryError),
    "more memory than there is": (lambda: bytearray(1 << 60), MemoryError),
}
"""What ends the task alone, and the class that its error is an instance of, as in Ray."""


@paralab.remote(max_retries=0)
def task(end: str) -> None:
    do(end)


class Actor:
    def end(self, end: str) -> None:
        do(end)

    def add(self, n: int) -> int:
        return n + 1


class AsyncActor:
    async def end(self, end: str) -> None:
        await asyncio.sleep(0)
        do(end)

    async def add(self, n: int) -> int:
        return n + 1


@paralab.remote
def add(n: int) -> int:
    return n + 1


def do(end: str) -> None:
    action: Any = ENDS[end] if end in ENDS else RAISED[end][0]
    action()


KINDS: dict[str, Any] = {
    "task": None,
    "actor": paralab.remote(Actor),
    "threaded actor": paralab.remote(max_concurrency=3)(Actor),
    "async actor": paralab.remote(AsyncActor),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("session")
def test_every_end_has_its_error(kind: str, scorecard: Any) -> None:
    slowest = ("", 0.0)
    for end in (*ENDS, *RAISED):
        cls = KINDS[kind]
        actor = None if cls is None else cls.remote()
        following = add if actor is None else actor.add
        if actor is not None:
            paralab.get(actor.add.remote(0))
        begun = time.monotonic()
        ref = task.remote(end) if actor is None else actor.end.remote(end)
        error = error_of(ref)
        check(kind, end, error)
        took = time.monotonic() - begun
        if actor is not None and end in ENDS:
            assert isinstance(error_of(actor.add.remote(1)), ActorDiedError)
            following = add
        assert paralab.get(following.remote(1), timeout=SECONDS) == 2
        assert took < SECONDS, (end, took)
        slowest = max(slowest, (end, took), key=lambda each: each[1])
    scorecard.figure(
        "E14",
        f"{kind}: {len(ENDS) + len(RAISED)} ways to end, slowest answer ({slowest[0]})",
        round(slowest[1], 3),
        "s",
        "Dask: BaseException never resolves; Ray: sys.exit in an async actor never resolves",
        short=f"{len(ENDS) + len(RAISED)} ways, the right error within {{}}",
    )


def error_of(ref: Any) -> BaseException:
    try:
        value = paralab.get(ref, timeout=2 * SECONDS)
    except BaseException as error:
        return error
    raise AssertionError(f"it ended with {value!r}")


def check(kind: str, end: str, error: BaseException) -> None:
    if end in ENDS:
        expected: Any = WorkerCrashedError if kind == "task" else ActorDiedError
        assert type(error) is expected, (kind, end, error)
        assert SAID[end] in str(error), (kind, end, error)
    else:
        cls = RAISED[end][1]
        if cls is asyncio.CancelledError and kind == "async actor":
            cls = TaskCancelledError  # there it means that somebody has cancelled the call
        if cls is StopIteration and kind == "async actor":
            cls = RuntimeError  # so Python itself: a coroutine cannot raise it
        instance = error if cls is not BaseException else error.cause
        assert isinstance(instance, cls), (kind, end, error)
        assert isinstance(error, (TaskError, TaskCancelledError)), (kind, end, error)
