"""Timeouts of get and wait, and results in the order in which they come."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import importlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def util(rt: Any) -> Any:
    return importlib.import_module(f"{rt.library.__name__}.util")


@pytest.fixture
def double(rt: Any) -> Any:
    @rt.remote
    def double(x: int) -> int:
        return 2 * x

    return double


@pytest.fixture
def held(rt: Any, tmp_path: Path) -> Any:
    """A task that waits until the test calls the second."""
    if rt.engine in ("local", "pickled"):
        pytest.skip("there, nothing is ever waited for")
    path = str(tmp_path / "fifo")
    os.mkfifo(path)

    @rt.remote
    def read(path: str = path) -> str:
        with open(path) as fifo:
            return fifo.read()

    def write() -> None:
        with open(path, "w") as fifo:
            fifo.write("value")

    return read, write


def test_timeouts_of_get(rt: Any, held: Any) -> None:
    read, write = held
    ref = read.remote()
    for timeout in (0, 0.0, 0.01):
        with pytest.raises(
            rt.exceptions.GetTimeoutError, match="Get timed out: some object"
        ) as caught:
            rt.get(ref, timeout=timeout)
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(rt.exceptions.GetTimeoutError):
            rt.get([rt.put(1), ref], timeout=timeout)
    write()
    assert rt.get(ref, timeout=-1) == "value"
    assert rt.get([ref], timeout=0) == ["value"]


def test_timeouts_of_wait(rt: Any, held: Any) -> None:
    read, write = held
    slow, ready = read.remote(), rt.put(1)
    assert rt.wait([slow, ready], timeout=0) == ([ready], [slow])
    assert rt.wait([slow, ready], num_returns=2, timeout=0.01) == ([ready], [slow])
    assert rt.wait([slow], timeout=0.0, fetch_local=False) == ([], [slow])
    write()
    assert rt.wait([slow, ready], num_returns=2) == ([slow, ready], [])
    with pytest.raises(ValueError, match="nonnegative"):
        rt.wait([ready], timeout=-1)


def test_a_failing_one_among_several(rt: Any, held: Any) -> None:
    read, write = held

    @rt.remote
    def fail() -> None:
        raise LookupError("lost")

    slow, failing = read.remote(), fail.remote()
    with pytest.raises(LookupError, match="lost"):
        rt.get([failing, slow], timeout=60)
    write()
    with pytest.raises(LookupError, match="lost"):
        rt.get([slow, failing])


def test_get_in_several_threads(rt: Any, double: Any) -> None:
    shared = double.remote(50)
    found: list[Any] = []

    def run(number: int) -> None:
        for n in range(20):
            found.append(rt.get([double.remote(n), shared]) == [2 * n, 100])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


def test_as_completed(rt: Any, util: Any, double: Any) -> None:
    refs = [double.remote(n) for n in range(25)]
    assert sorted(util.as_completed(refs)) == [2 * n for n in range(25)]
    assert sorted(util.as_completed(refs, chunk_size=1)) == [2 * n for n in range(25)]
    assert set(util.as_completed(refs, yield_obj_refs=True, chunk_size=100)) == set(refs)
    assert list(util.as_completed([])) == []
    with pytest.raises(ValueError, match="chunk_size"):
        next(util.as_completed(refs, chunk_size=0))
    with pytest.raises(ValueError, match="num_returns"):
        next(util.as_completed(refs, num_returns=1))


def test_as_completed_does_not_wait_for_the_slowest(rt: Any, util: Any, held: Any) -> None:
    read, write = held
    results = util.as_completed([read.remote(), rt.put("first")], chunk_size=1)
    assert next(results) == "first"
    write()
    assert list(results) == ["value"]


def test_map_unordered(rt: Any, util: Any, double: Any) -> None:
    wanted = [2 * n for n in range(30)]
    assert sorted(util.map_unordered(double, range(30))) == wanted
    taken: list[int] = []

    def items() -> Any:
        for n in range(30):
            taken.append(n)
            yield n

    results = util.map_unordered(double, items(), backpressure_size=4, chunk_size=1)
    first = next(results)
    assert len(taken) == 4
    assert sorted([first, *results]) == wanted
    refs = util.map_unordered(double, [1, 2], backpressure_size=None, yield_obj_refs=True)
    assert sorted(rt.get(list(refs))) == [2, 4]
    for wrong in ({"backpressure_size": 0}, {"chunk_size": 0}, {"num_returns": 2}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong)).split('_')[0]}"):
            next(util.map_unordered(double, [1], **wrong))
