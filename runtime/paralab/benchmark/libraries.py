"""What stands in for a library, beside that library: the same work through both.

Each function below opens one, for paralab or for the library itself, and gives a function that has
so many calls computed.  What a row compares is therefore what a program has that changes one line.
"""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

from paralab.benchmark.callers import WORKERS, noop
from paralab.benchmark.measure import rate
from paralab.benchmark.rows import SUBJECT, Sizes
from paralab.benchmark.statistics import Sample

Run = Callable[[int], object]
_CHUNK = 100
_AHEAD = 8
_FOLDS = 3
_SAMPLES = 600
"""Of the handwritten digits that come with scikit-learn; with them a fit takes about 10 ms."""


def _same(item: Any) -> Any:
    return item


def _negated(array: Any) -> Any:
    return -array


def _length_of(array: Any, _number: int) -> int:
    return len(array)


@contextmanager
def _pool(side: str) -> Iterator[Any]:
    module: Any = multiprocessing
    if side == SUBJECT:
        module = importlib.import_module("paralab.util.multiprocessing")
    pool = module.Pool(WORKERS)
    try:
        yield pool
    finally:
        pool.close()
        pool.join()


@contextmanager
def pool_map(side: str, sizes: Sizes) -> Iterator[Run]:
    """``Pool.map`` with the same chunk size."""
    with _pool(side) as pool:
        yield lambda calls: pool.map(_same, range(calls), _CHUNK)


@contextmanager
def pool_map_arrays(side: str, sizes: Sizes) -> Iterator[Run]:
    """``Pool.map`` that takes and returns arrays, one a chunk."""
    import numpy as np

    arrays = [np.full(_array_items(sizes), float(number)) for number in range(4)]
    with _pool(side) as pool:

        def run(calls: int) -> None:
            for first in range(0, calls, len(arrays)):
                pool.map(_negated, arrays[: calls - first], 1)

        yield run


@contextmanager
def shards(side: str, sizes: Sizes) -> Iterator[Run]:
    """Items of a sequence without end, one by one as they come; some are asked for ahead."""
    if side == SUBJECT:
        module: Any = importlib.import_module("paralab.util.iter")
        numbers = module.from_range(1_000, WORKERS, repeat=True).for_each(_same)
        items = numbers.gather_async(num_async=_AHEAD)
        yield lambda calls: _take(items, calls)
        return
    with _pool(side) as pool:
        yield lambda calls: _take(pool.imap_unordered(_same, range(calls)), calls)


def _take(items: Iterable[Any], count: int) -> None:
    for _, _item in zip(range(count), items, strict=False):
        pass


@contextmanager
def executor_calls(side: str, sizes: Sizes) -> Iterator[Run]:
    """Calls in flight of an executor."""
    made: Any = ProcessPoolExecutor
    if side == SUBJECT:
        made = importlib.import_module("paralab.util.concurrent").Executor
    with made(WORKERS) as executor:

        def run(calls: int) -> None:
            for future in [executor.submit(noop) for _ in range(calls)]:
                future.result()

        yield run


@contextmanager
def _joblib(side: str) -> Iterator[Any]:
    """The module, whose loops in the block are computed by ``side``."""
    joblib: Any = importlib.import_module("joblib")
    if side == SUBJECT:
        importlib.import_module("paralab.util.joblib").register_paralab()
    backend = "paralab" if side == SUBJECT else "loky"
    try:
        with joblib.parallel_config(backend=backend, n_jobs=WORKERS):
            yield joblib
    finally:
        if side != SUBJECT:
            loky = importlib.import_module("joblib.externals.loky")
            loky.get_reusable_executor().shutdown(wait=True)


@contextmanager
def joblib_calls(side: str, sizes: Sizes) -> Iterator[Run]:
    """``Parallel`` with the batches that joblib chooses."""
    with _joblib(side) as joblib:
        parallel = joblib.Parallel()
        yield lambda calls: parallel(joblib.delayed(_same)(item) for item in range(calls))


@contextmanager
def joblib_array(side: str, sizes: Sizes) -> Iterator[Run]:
    """Loops whose calls all take one array, a new one for each loop of 20."""
    import numpy as np

    with _joblib(side) as joblib:
        parallel = joblib.Parallel()

        def run(calls: int) -> None:
            for first in range(0, calls, 20):
                array = np.full(_array_items(sizes), float(first))
                loop = range(min(20, calls - first))
                parallel(joblib.delayed(_length_of)(array, number) for number in loop)

        yield run


@contextmanager
def search(side: str, sizes: Sizes) -> Iterator[Run]:
    """scikit-learn's grid search; a call is one candidate."""
    datasets, searches = (
        importlib.import_module(f"sklearn.{name}") for name in ("datasets", "model_selection")
    )
    svc: Any = importlib.import_module("sklearn.svm").SVC
    data, labels = datasets.load_digits(return_X_y=True)
    with _joblib(side):

        def run(calls: int) -> None:
            grid = {"C": [1 + number / calls for number in range(calls)]}
            found = searches.GridSearchCV(svc(), grid, cv=_FOLDS, refit=False)
            found.fit(data[:_SAMPLES], labels[:_SAMPLES])

        yield run


@contextmanager
def forest(side: str, sizes: Sizes) -> Iterator[Run]:
    """A random forest of scikit-learn; a call is one tree."""
    ensemble: Any = importlib.import_module("sklearn.ensemble")
    datasets: Any = importlib.import_module("sklearn.datasets")
    data, labels = datasets.load_digits(return_X_y=True)
    with _joblib(side):
        # Of its own accord it takes threads; the backend that is asked for goes before that.
        yield lambda calls: ensemble.RandomForestClassifier(calls, random_state=0).fit(data, labels)


@contextmanager
def dask_graph(side: str, sizes: Sizes) -> Iterator[Run]:
    """A graph of calls that do not need each other, and one that needs them all."""
    importlib.import_module("dask")

    def graph(calls: int) -> dict[Any, Any]:
        return {**dict.fromkeys(range(calls), (_same, -1)), "end": (len, list(range(calls)))}

    if side == SUBJECT:
        get = importlib.import_module("paralab.util.dask").paralab_dask_get
        yield lambda calls: get(graph(calls), "end")
    elif side == "dask_threads":
        get = importlib.import_module("dask.threaded").get
        yield lambda calls: get(graph(calls), "end", num_workers=WORKERS)
    else:
        get = importlib.import_module("dask.multiprocessing").get
        with ProcessPoolExecutor(WORKERS) as pool:
            yield lambda calls: get(graph(calls), "end", pool=pool)


class Library(NamedTuple):
    """How a row opens what it measures."""

    opened: Callable[[str, Sizes], AbstractContextManager[Run]]
    """For a side, at these sizes."""
    slow_down: int
    """By how much fewer calls are made than ``Sizes.in_flight``."""
    worth: Callable[[Sizes], float] = lambda _sizes: 1.0
    """What one call is in the row's unit."""


def _array_items(sizes: Sizes) -> int:
    """Of an array of a twentieth of the bytes: 10 MB."""
    return sizes.array_bytes // 160


def _gigabytes(sizes: Sizes) -> float:
    return _array_items(sizes) * 8 / 1e9


OPENS: Mapping[str, Library] = {
    "pool_map": Library(pool_map, 1),
    "pool_map_arrays": Library(pool_map_arrays, 1_000, lambda sizes: 2 * _gigabytes(sizes)),
    "shards": Library(shards, 10),
    "executor_calls": Library(executor_calls, 4),
    "joblib_calls": Library(joblib_calls, 1),
    "joblib_array": Library(joblib_array, 100),
    "search": Library(search, 1_600, lambda _sizes: _FOLDS),
    "forest": Library(forest, 200),
    "dask_graph": Library(dask_graph, 20),
}
"""By row."""


def library_row(row: str, sizes: Sizes, side: str) -> Sample:
    """What ``side`` does of a row's work per second.

    Raises:
        NotImplementedError: the library is not installed.
    """
    library = OPENS[row]
    calls = max(1, sizes.in_flight // library.slow_down)
    try:
        with library.opened(side, sizes) as run:
            run(calls)
            batches, total = rate(lambda: run(calls), sizes.seconds, chunk=1)
    except ModuleNotFoundError as error:
        raise NotImplementedError(f"{error.name} is not installed") from error
    return Sample(batches * calls * library.worth(sizes), total * calls)
