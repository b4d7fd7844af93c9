"""``util.multiprocessing.Pool`` and the joblib backend, as far as all libraries agree."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

WAIT = 60
"""Seconds within which anything here is done; only a failure waits so long."""


def square(x: int) -> int:
    return x * x


def pid_of(_item: int) -> int:
    return os.getpid()


@pytest.fixture
def pool_class(rt: Any) -> Any:
    if rt.engine in ("local", "pickled"):
        pytest.skip("a pool is made of processes")
    return importlib.import_module(f"{rt.library.__name__}.util.multiprocessing").Pool


@pytest.fixture
def pool(pool_class: Any) -> Iterator[Any]:
    made = pool_class(2)
    yield made
    made.terminate()
    made.join()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_imap_in_chunks_can_be_asked_with_a_time_limit(pool: Any, method: str) -> None:
    results = getattr(pool, method)(square, range(7), chunksize=3)
    assert iter(results) is results
    found = [results.next(timeout=WAIT)]
    found += list(results)
    assert sorted(found) == [0, 1, 4, 9, 16, 25, 36]
    with pytest.raises(StopIteration):
        results.next()


@pytest.mark.slow
def test_what_a_terminated_pool_leaves_undone_is_an_error_of_the_library(
    rt: Any, pool: Any
) -> None:
    @rt.remote(num_cpus=0)
    class Never:
        async def comes(self) -> None:
            import asyncio

            await asyncio.Event().wait()

    never = Never.remote()
    waiting = pool.map_async(lambda actor: rt.get(actor.comes.remote()), [never, never])
    pool.terminate()
    pool.join()
    with pytest.raises(rt.exceptions.RayError):
        waiting.get(WAIT)
    assert waiting.ready()
    assert not waiting.successful()


@pytest.mark.slow
def test_a_process_is_replaced_after_so_many_tasks(pool_class: Any) -> None:
    pool = pool_class(2, maxtasksperchild=1)
    assert len(set(pool.map(pid_of, range(8)))) == 8
    pool.terminate()
    pool.join()


def test_the_backend_of_joblib_has_a_name(rt: Any) -> None:
    joblib = pytest.importorskip("joblib")
    library = importlib.import_module(f"{rt.library.__name__}.util.joblib")
    library.register_ray()
    backend = importlib.import_module(f"{library.__name__}.ray_backend").RayBackend
    with joblib.parallel_config(backend="ray"):
        assert type(joblib.parallel.get_active_backend()[0]) is backend
