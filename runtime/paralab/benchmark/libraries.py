"""What stands in for a library, beside that library: the same no-ops through both.

Each function below opens one, for paralab or for the library itself, and gives a function that has
so many calls computed.  What a row compares is therefore what a program has that changes one line.
"""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from paralab.benchmark.callers import WORKERS, noop
from paralab.benchmark.measure import rate
from paralab.benchmark.rows import Sizes
from paralab.benchmark.statistics import Sample

Run = Callable[[int], object]
_CHUNK = 100


def _same(item: Any) -> Any:
    return item


@contextmanager
def pool_map(ours: bool) -> Iterator[Run]:
    """``Pool.map`` with the same chunk size."""
    module: Any = multiprocessing
    if ours:
        module = importlib.import_module("paralab.util.multiprocessing")
    pool = module.Pool(WORKERS)
    try:
        yield lambda calls: pool.map(_same, range(calls), _CHUNK)
    finally:
        pool.close()
        pool.join()


@contextmanager
def executor_calls(ours: bool) -> Iterator[Run]:
    """Calls in flight of an executor."""
    made: Any = ProcessPoolExecutor
    if ours:
        made = importlib.import_module("paralab.util.concurrent").Executor
    with made(WORKERS) as executor:

        def run(calls: int) -> None:
            for future in [executor.submit(noop) for _ in range(calls)]:
                future.result()

        yield run


@contextmanager
def joblib_calls(ours: bool) -> Iterator[Run]:
    """``Parallel`` with the batches that joblib chooses."""
    joblib = importlib.import_module("joblib")
    if ours:
        importlib.import_module("paralab.util.joblib").register_paralab()
    backend = "paralab" if ours else "loky"
    parallel = joblib.Parallel(n_jobs=WORKERS, backend=backend)
    try:
        yield lambda calls: parallel(joblib.delayed(_same)(item) for item in range(calls))
    finally:
        if not ours:
            loky = importlib.import_module("joblib.externals.loky")
            loky.get_reusable_executor().shutdown(wait=True)


@contextmanager
def dask_graph(ours: bool) -> Iterator[Run]:
    """A graph of calls that do not need each other, and one that needs them all."""
    importlib.import_module("dask")

    def graph(calls: int) -> dict[Any, Any]:
        return {**dict.fromkeys(range(calls), (_same, -1)), "end": (len, list(range(calls)))}

    if ours:
        get = importlib.import_module("paralab.util.dask").paralab_dask_get
        yield lambda calls: get(graph(calls), "end")
        return
    get = importlib.import_module("dask.multiprocessing").get
    with ProcessPoolExecutor(WORKERS) as pool:
        yield lambda calls: get(graph(calls), "end", pool=pool)


OPENS: Mapping[str, tuple[Callable[[bool], AbstractContextManager[Run]], int]] = {
    "pool_map": (pool_map, 1),
    "executor_calls": (executor_calls, 4),
    "joblib_calls": (joblib_calls, 1),
    "dask_graph": (dask_graph, 20),
}
"""By row: what opens it, and by how much fewer calls are made than ``Sizes.in_flight``."""


def library_row(row: str, sizes: Sizes, *, ours: bool) -> Sample:
    """Calls per second.

    Raises:
        NotImplementedError: the library is not installed.
    """
    opened, slow_down = OPENS[row]
    calls = max(1, sizes.in_flight // slow_down)
    try:
        with opened(ours) as run:
            run(calls)
            batches, total = rate(lambda: run(calls), sizes.seconds, chunk=1)
    except ModuleNotFoundError as error:
        raise NotImplementedError(f"{error.name} is not installed") from error
    return Sample(batches * calls, total * calls)
