"""What tests of programs need: actors to wait for, conditions, and further drivers.

Waiting is by asking again and again, because the condition is any function of the test's.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import paralab
from paralab.library_name import is_called_ray

__all__ = ["Semaphore", "SignalActor"]

_DRIVER_TIMEOUT = 300.0


@paralab.remote(num_cpus=0)
class SignalActor:
    """Tasks and actors ``wait`` for it until somebody calls ``send``."""

    def __init__(self) -> None:
        self.ready_event = asyncio.Event()
        self.num_waiters = 0

    def send(self, clear: bool = False) -> None:
        """Lets all go that wait; with ``clear``, later ones wait again."""
        self.ready_event.set()
        if clear:
            self.ready_event.clear()

    async def wait(self, should_wait: bool = True) -> None:
        """Returns after ``send``, or at once if not ``should_wait``."""
        if not should_wait:
            return
        self.num_waiters += 1
        await self.ready_event.wait()
        self.num_waiters -= 1

    async def cur_num_waiters(self) -> int:
        """How many wait now."""
        return self.num_waiters


@paralab.remote(num_cpus=0)
class Semaphore:
    """A counting semaphore that several processes share."""

    def __init__(self, value: int = 1) -> None:
        self._semaphore = asyncio.Semaphore(value)

    async def acquire(self) -> None:
        """Takes one, when there is one."""
        await self._semaphore.acquire()

    async def release(self) -> None:
        """Gives one back."""
        self._semaphore.release()

    async def locked(self) -> bool:
        """Whether ``acquire`` would wait."""
        return self._semaphore.locked()


def wait_for_condition(
    condition_predictor: Callable[..., bool],
    timeout: float = 10,
    retry_interval_ms: float = 100,
    raise_exceptions: bool = False,
    **kwargs: Any,
) -> None:
    """Asks ``condition_predictor(**kwargs)`` until it says yes.

    Args:
        condition_predictor: what it raises counts as no, unless ``raise_exceptions``.
        timeout: in seconds.
        retry_interval_ms: in milliseconds, between two questions.
        raise_exceptions: whether its errors go to the caller.
        kwargs: for the function.

    Raises:
        RuntimeError: it did not say yes in time.
    """
    end = time.monotonic() + timeout
    last, is_first = "", True  # it is asked once, however late this process gets to run
    while is_first or time.monotonic() <= end:
        is_first = False
        try:
            if condition_predictor(**kwargs):
                return
        except Exception:
            if raise_exceptions:
                raise
            last = traceback.format_exc()
        time.sleep(retry_interval_ms / 1000)
    raise RuntimeError(_not_met(last))


async def async_wait_for_condition(
    condition_predictor: Callable[..., bool | Awaitable[bool]],
    timeout: float = 10,  # noqa: ASYNC109  (Ray's name, and what happens then is ours)
    retry_interval_ms: float = 100,
    **kwargs: Any,
) -> None:
    """:func:`wait_for_condition` that leaves the event loop free; the function may be async."""
    end = time.monotonic() + timeout
    last, is_first = "", True
    while is_first or time.monotonic() <= end:
        is_first = False
        try:
            answer = condition_predictor(**kwargs)
            if await answer if inspect.isawaitable(answer) else answer:
                return
        except Exception:
            last = traceback.format_exc()
        await asyncio.sleep(retry_interval_ms / 1000)
    raise RuntimeError(_not_met(last))


def _not_met(last: str) -> str:
    message = "The condition wasn't met before the timeout expired."
    return f"{message} Last exception: {last}" if last else message


def run_string_as_driver(
    driver_script: str,
    env: Mapping[str, str] | None = None,
    encode: str = "utf-8",
    timeout: float | None = _DRIVER_TIMEOUT,
) -> str:
    """Runs a program in a Python process of its own; returns what it printed, errors included.

    Raises:
        subprocess.CalledProcessError: it ended with an exit code other than 0.
        subprocess.TimeoutExpired: it ran for longer than ``timeout`` seconds, and was killed.
    """
    done = subprocess.run(
        [sys.executable, "-"],
        input=driver_script.encode(encode),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=driver_environment(env),
        timeout=timeout,
        check=False,
    )
    printed = done.stdout.decode(encode, errors="replace")
    if done.returncode:
        sys.stdout.write(printed)
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout)
    return printed


def driver_environment(env: Mapping[str, str] | None) -> dict[str, str] | None:
    """``env`` for a child process, in which ``import ray`` means what it means here."""
    if env is None or not is_called_ray():
        return None if env is None else dict(env)
    from paralab.as_ray import with_hook

    return {**env, "PYTHONPATH": with_hook(env.get("PYTHONPATH", ""))} if env else dict(os.environ)


def is_named_tuple(cls: type) -> bool:
    """Whether ``cls`` was made by ``collections.namedtuple``."""
    names = getattr(cls, "_fields", None)
    return cls.__bases__ == (tuple,) and isinstance(names, tuple)


def __getattr__(name: str) -> Any:
    from paralab.absent import inside

    raise AttributeError(inside(__name__, name))
