"""One side, in an interpreter of its own: ``python -P -m paralab.benchmark.side``.

Arguments are the side's name, the row names, "full" or "quick", and the file that gets one
JSON line per row: ``{"row": name, "value": ...}``, or ``{"row": name, "error": text}``.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from paralab.benchmark import api as api_rows
from paralab.benchmark import callers, measure
from paralab.benchmark.libraries import OPENS, library_row
from paralab.benchmark.rows import FULL, QUICK, SUBJECT, Sizes
from paralab.benchmark.statistics import Sample

Measure = Callable[[], Sample]

_POOL_LIKE = (
    *("pool", "executor", "loky", "grpc"),
    *("joblib", "dask_processes", "dask_threads"),
)
_SINGLE = ("task", "actor_call")
_IN_FLIGHT = ("tasks_in_flight", "actor_calls_in_flight", "async_actor_calls_in_flight")

# What a user of each writes first; the clock starts before the import.
_START_SCRIPTS: Mapping[str, str] = {
    "pool": """
import time, os
start = time.perf_counter()
import multiprocessing
with multiprocessing.Pool({workers}) as pool:
    pool.apply(os.getpid)
    print("seconds", time.perf_counter() - start, flush=True)
""",
    "executor": """
import time, os
start = time.perf_counter()
from {module} import ProcessPoolExecutor
with ProcessPoolExecutor({workers}) as executor:
    executor.submit(os.getpid).result()
    print("seconds", time.perf_counter() - start, flush=True)
""",
    "dask": """
import time, os
start = time.perf_counter()
from distributed import Client, LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers={workers}, threads_per_worker=1, dashboard_address=None) as c:
        with Client(c) as client:
            client.submit(os.getpid).result()
            print("seconds", time.perf_counter() - start, flush=True)
""",
}


def memcpy(row: str, sizes: Sizes) -> Sample:
    """GB/s of ``np.copyto`` between two warm buffers, median."""
    import time
    from statistics import median

    import numpy as np

    source = np.ones(sizes.array_bytes // 8)
    target = np.zeros_like(source)
    np.copyto(target, source)
    times = []
    for _ in range(sizes.repeats):
        start = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - start)
    return Sample(source.nbytes / median(times) / 1e9, sizes.repeats)


def _measure_caller(caller: callers.Caller, row: str, sizes: Sizes, *, pin: bool = False) -> Sample:
    if row in _SINGLE:
        return measure.single(caller, sizes)
    return measure.in_flight(caller, sizes, pin=pin)


def _bare(row: str, sizes: Sizes) -> Sample:
    with callers.Bare("single" if row in _SINGLE else "batches") as caller:
        return _measure_caller(caller, row, sizes, pin=True)


def _start_script(side: str) -> Sample:
    module = "loky" if side == "loky" else "concurrent.futures"
    script = _START_SCRIPTS["executor" if side == "loky" else side]
    seconds = api_rows.run_script(script.format(workers=callers.WORKERS, module=module))
    return Sample(seconds, 1)


def _pool_like(side: str, row: str, sizes: Sizes) -> Sample:
    if row in OPENS:
        return library_row(row, sizes, side)
    if row == "start":
        return _start_script(side)
    make: Mapping[str, Callable[[], Any]] = {
        "pool": callers.Pool,
        "executor": callers.Executor,
        "loky": callers.loky_executor,
        "grpc": callers.Grpc,
    }
    with make[side]() as caller:
        return _measure_caller(caller, row, sizes)


def _api_row(api: Any, name: str, row: str, sizes: Sizes) -> Sample:
    if row in OPENS:
        return library_row(row, sizes, SUBJECT)
    slow_down = api_rows.SLOW_DOWN[name]
    if row in ("task", "tasks_in_flight", "events"):
        return _measure_caller(api_rows.Tasks(api, slow_down), row, sizes)
    if row in (*_SINGLE, *_IN_FLIGHT):
        calls = api_rows.ActorCalls(api, slow_down, asynchronous=row.startswith("async"))
        return _measure_caller(calls, row, sizes)
    return api_rows.API_ROWS[row](api, sizes)


def _dask_row(cluster: callers.Dask, row: str, sizes: Sizes) -> Sample:
    if row == "idle_memory":
        return api_rows.idle_memory_after(cluster.workers)
    return _measure_caller(cluster.actor() if row == "actor_call" else cluster, row, sizes)


class _Runtime:
    """A runtime that is started by the first row that needs it and then serves all rows."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: Any = None

    def row(self, side: str, row: str, sizes: Sizes) -> Sample:
        """Measures ``row`` with the runtime of ``side``."""
        if side == "dask":
            if row == "start":
                return _start_script(side)
            if self._running is None:
                self._running = self._stack.enter_context(callers.Dask())
            return _dask_row(self._running, row, sizes)
        name = "paralab" if side == "events_off" else side
        if row == "start":
            return api_rows.start(name)
        if self._running is None:
            api = importlib.import_module(name)
            self._running = self._stack.enter_context(api_rows.session(api, name))
        if side == "events_off":
            return api_rows.without_events(self._running, sizes)
        return _api_row(self._running, name, row, sizes)


def run_side(side: str, rows: Sequence[str], sizes: Sizes, write: Callable[[str], object]) -> None:
    """Measures ``rows`` on ``side``; a row that fails is written as such, the rest goes on."""
    with ExitStack() as stack:
        runtime = _Runtime(stack)
        for row in rows:
            try:
                if side == "bare":
                    sample = _bare(row, sizes)
                elif side == "memcpy":
                    sample = memcpy(row, sizes)
                elif side in _POOL_LIKE:
                    sample = _pool_like(side, row, sizes)
                else:
                    sample = runtime.row(side, row, sizes)
                result = {"row": row, **asdict(sample)}
            except NotImplementedError as error:
                result = {"row": row, "error": f"not there: {error}"}
            except Exception as error:
                result = {"row": row, "error": f"{type(error).__name__}: {error}"}
            write(json.dumps(result) + "\n")


def main(side: str, rows: str, sizes: str, output: str) -> None:
    """The command line of this module."""
    with Path(output).open("w", buffering=1) as file:
        run_side(side, rows.split(","), QUICK if sizes == "quick" else FULL, file.write)


if __name__ == "__main__":
    main(*sys.argv[1:])
