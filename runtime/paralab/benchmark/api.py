"""The rows of a runtime that has Ray's API.  The module is an argument: paralab, or Ray.

Functions and classes are defined inside functions, so that they travel by value as those of
a notebook do, and workers need not import this package.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any

from paralab.benchmark import machine, measure
from paralab.benchmark.callers import WORKERS
from paralab.benchmark.rows import Sizes
from paralab.benchmark.statistics import Sample

Api = Any
"""A module with Ray's API."""

_PROBES = 64
_RAY = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}


def init_arguments(name: str) -> dict[str, Any]:
    """What ``init`` of the runtime called ``name`` is given."""
    return {"num_cpus": WORKERS, **(_RAY if name == "ray" else {})}


@contextmanager
def session(api: Api, name: str) -> Iterator[Api]:
    """A runtime that is up inside the block and gone after it."""
    api.init(**init_arguments(name))
    try:
        yield api
    finally:
        api.shutdown()


class Tasks:
    """Calls of one remote function."""

    def __init__(self, api: Api, slow_down: int = 1) -> None:
        def noop() -> None:
            return None

        def pid() -> int:
            return os.getpid()

        self.slow_down = slow_down
        self._get: Callable[[Any], Any] = api.get
        self._noop, self._pid = api.remote(noop), api.remote(pid)

    def one(self) -> None:
        self._get(self._noop.remote())

    def many(self, calls: int) -> None:
        remote = self._noop.remote
        self._get([remote() for _ in range(calls)])

    def workers(self) -> set[int]:
        # Together, so that each worker gets some; then one by one, as `one` meets them.
        together = self._get([self._pid.remote() for _ in range(_PROBES)])
        return {*together, *(self._get(self._pid.remote()) for _ in range(_PROBES))}


class ActorCalls:
    """Calls of one actor's method."""

    def __init__(self, api: Api, slow_down: int = 1, *, asynchronous: bool = False) -> None:
        class Answering:
            def noop(self) -> None:
                return None

            def pid(self) -> int:
                return os.getpid()

        class AnsweringAsync:
            async def noop(self) -> None:
                return None

            async def pid(self) -> int:
                return os.getpid()

        self.slow_down = slow_down
        self._get: Callable[[Any], Any] = api.get
        self._actor = api.remote(AnsweringAsync if asynchronous else Answering).remote()

    def one(self) -> None:
        self._get(self._actor.noop.remote())

    def many(self, calls: int) -> None:
        remote = self._actor.noop.remote
        self._get([remote() for _ in range(calls)])

    def workers(self) -> set[int]:
        return {self._get(self._actor.pid.remote())}


def put_small(api: Api, sizes: Sizes) -> Sample:
    """Puts of an int per second, each freed before the next."""
    return measure.warm_rate(lambda: api.put(0), sizes, chunk=100)


def get_small(api: Api, sizes: Sizes) -> Sample:
    """Gets of the same small object per second."""
    ref = api.put(0)
    return measure.warm_rate(lambda: api.get(ref), sizes, chunk=100)


def _array(sizes: Sizes) -> Any:
    import numpy as np

    return np.ones(sizes.array_bytes // 8)


def _speed(array: Any, seconds: float) -> float:
    return float(array.nbytes / seconds / 1e9)


def put_array_first(api: Api, sizes: Sizes) -> Sample:
    """GB/s of the first large put of a session: its pages are new."""
    array = _array(sizes)
    start = time.perf_counter()
    ref = api.put(array)
    seconds = time.perf_counter() - start
    del ref
    return Sample(_speed(array, seconds), 1, detail={"ms": round(seconds * 1e3, 2)})


def put_array_warm(api: Api, sizes: Sizes) -> Sample:
    """GB/s of later puts, median; each is freed before the next."""
    array = _array(sizes)
    for _ in range(2):
        api.put(array)
    times = []
    for _ in range(sizes.repeats):
        start = time.perf_counter()
        ref = api.put(array)
        times.append(time.perf_counter() - start)
        del ref
    return Sample(_speed(array, median(times)), sizes.repeats)


def get_array(api: Api, sizes: Sizes) -> Sample:
    """ms until an array's first get returns; the slower of put here and made by a task.

    Raises:
        RuntimeError: the array was copied, so that its time would mean something else.
    """
    import numpy as np

    items = sizes.array_bytes // 8

    def make() -> Any:
        return np.ones(items)

    remote, array = api.remote(make), _array(sizes)
    times: dict[str, list[float]] = {"put": [], "task": []}
    for _ in range(max(2, sizes.repeats // 2)):
        for kind, produce in (("put", lambda: api.put(array)), ("task", remote.remote)):
            ref = produce()
            api.wait([ref])
            start = time.perf_counter()
            got = api.get(ref)
            times[kind].append((time.perf_counter() - start) * 1e3)
            again = api.get(ref)
            if got.flags.writeable or got.ctypes.data != again.ctypes.data:
                raise RuntimeError(f"get copied the array that came by {kind}")
            del ref, got, again
    medians = {kind: median(values) for kind, values in times.items()}
    detail = {f"{kind}_ms": round(value, 4) for kind, value in medians.items()}
    return Sample(max(medians.values()), len(times["put"]) * 2, detail=detail)


def task_with_array(api: Api, sizes: Sizes) -> Sample:
    """Tasks per second, in flight, that each take the same large array by ref."""

    def length(array: Any) -> int:
        return len(array)

    remote, array = api.remote(length), api.put(_array(sizes))
    batch = max(1, sizes.in_flight // 40)
    api.get([remote.remote(array) for _ in range(batch)])
    value, calls = measure.rate(
        lambda: api.get([remote.remote(array) for _ in range(batch)]), sizes.seconds, chunk=1
    )
    return Sample(value * batch, calls * batch, detail={"in_flight": batch})


def wait_ready(api: Api, sizes: Sizes) -> Sample:
    """Calls per second of ``wait`` on put refs, asking for all of them; aside, task results."""

    def noop() -> None:
        return None

    remote = api.remote(noop)
    puts = [api.put(number) for number in range(sizes.refs)]
    results = [remote.remote() for _ in range(sizes.refs)]
    api.get(results)

    def waits(refs: list[Any]) -> Sample:
        return measure.warm_rate(lambda: api.wait(refs, num_returns=len(refs)), sizes, chunk=5)

    of_puts, of_results = waits(puts), waits(results)
    detail = {"task_results_per_s": round(of_results.value)}
    return Sample(of_puts.value, of_puts.calls, detail=detail)


_START = """
import time
start = time.perf_counter()
import {module} as api
api.init(**{arguments!r})
@api.remote
def one():
    return 1
assert api.get(one.remote()) == 1
print("seconds", time.perf_counter() - start, flush=True)
api.shutdown()
"""


def last_line(text: str) -> str:
    """The last line of a process's standard error, where Python names the exception."""
    return (text.strip().splitlines() or ["it wrote nothing"])[-1][:300]


def run_script(script: str) -> float:
    """Runs ``script`` in a fresh interpreter; returns the seconds that it prints.

    Raises:
        RuntimeError: it failed; the end of its standard error is in the message.
    """
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("seconds "):
            return float(line.split()[1])
    raise RuntimeError(f"the fresh interpreter failed: {last_line(done.stderr)}")


def start(name: str) -> Sample:
    """Seconds from the import to the first result, in a fresh interpreter."""
    return Sample(run_script(_START.format(module=name, arguments=init_arguments(name))), 1)


def idle_memory(api: Api, sizes: Sizes) -> Sample:
    """MB (PSS) of all processes but the driver, once each CPU's worker has run a task."""
    return idle_memory_after(Tasks(api).workers)


def idle_memory_after(warm_up: Callable[[], object]) -> Sample:
    """MB (PSS) of all processes but this one, after ``warm_up`` made every worker work.

    Raises:
        RuntimeError: there is no other process.
    """
    warm_up()
    pids = machine.marked_processes(os.environ[machine.MARK])
    if not pids:
        raise RuntimeError("the runtime has no process besides the driver")
    return Sample(machine.pss_bytes(pids) / 1e6, 1, detail={"processes": len(pids)})


def new_actor(api: Api, sizes: Sizes) -> Sample:
    """Actors per second that are made, answer one call and are dropped, one after another."""

    class Answering:
        def noop(self) -> None:
            return None

    cls = api.remote(Answering)

    def answered() -> None:
        api.get(cls.remote().noop.remote())

    answered()
    value, calls = measure.rate(answered, 0, chunk=sizes.actors)
    return Sample(value, calls)


def actors_alive(api: Api, sizes: Sizes) -> Sample:
    """How many actors answer while all of them live, each in a process of its own."""

    class Answering:
        def pid(self) -> int:
            return os.getpid()

    cls = api.remote(Answering).options(num_cpus=0)
    began = time.perf_counter()
    actors = [cls.remote() for _ in range(sizes.alive)]
    pids = set(api.get([actor.pid.remote() for actor in actors]))
    seconds = time.perf_counter() - began
    pss = machine.pss_bytes(machine.marked_processes(os.environ[machine.MARK]))
    return Sample(len(pids), 1, detail={"seconds": round(seconds, 2), "pss_mb": round(pss / 1e6)})


def without_events(api: Api, sizes: Sizes) -> Sample:
    """Tasks in flight with the events switched off.

    Raises:
        RuntimeError: there are events all the same.
    """
    sample = measure.in_flight(Tasks(api), sizes)
    if api.timeline():
        raise RuntimeError("the runtime keeps events although PARALAB_EVENTS=0")
    return sample


SLOW_DOWN: Mapping[str, int] = {"paralab": 1, "ray": 10}

API_ROWS: Mapping[str, Callable[[Api, Sizes], Sample]] = {
    "put_small": put_small,
    "get_small": get_small,
    "put_array_first": put_array_first,
    "put_array_warm": put_array_warm,
    "get_array": get_array,
    "task_with_array": task_with_array,
    "wait_ready": wait_ready,
    "idle_memory": idle_memory,
    "new_actor": new_actor,
    "actors_alive": actors_alive,
}
"""Rows that need nothing but a session; the others are put together in ``side``."""
