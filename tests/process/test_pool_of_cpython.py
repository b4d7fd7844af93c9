"""CPython's own tests of ``multiprocessing.Pool``, run on the pool of actors.

They come from the installed Python, where it has its tests.
"""

from __future__ import annotations

import multiprocessing
import unittest
from collections.abc import Iterator
from typing import Any

import pytest

import paralab
from paralab.util.multiprocessing import Pool

cpython: Any = pytest.importorskip("test._test_multiprocessing")

NOT_OURS = {
    "test_resource_warning": "sets the pool's inner state by hand; a lost pool ends by itself",
    "test_context": "asks for a context's own Pool",
}
OF_WORKERS = {
    "test_unpickleable_result": "a lambda can be pickled here; test_pool.py has what cannot",
    "test_pool_worker_lifetime": "looks into the pool's list of processes; test_pool.py asks",
    "test_worker_finalization_via_atexit_handler_of_multiprocessing": "starts a program with Pool",
}
"""TestPoolNotLeakOnFailure is left out as a whole: it has the start of a Process fail."""


@pytest.fixture(scope="module", autouse=True)
def ten_cpus(leak_check: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    with leak_check.postponed(request.node.nodeid):
        try:
            paralab.init(num_cpus=10)
            yield
        finally:
            paralab.shutdown()


class Processes:
    """What the tests expect of the class that they are mixed into."""

    TYPE = "processes"
    Pool = staticmethod(Pool)

    def test_make_pool(self) -> None:
        """Three of the original's lines ask for more processes than there are CPUs."""
        with pytest.raises(ValueError, match="at least 1"):
            Pool(-1)
        for bad in (0, -1, 1.5, "2"):
            with pytest.raises(ValueError, match="maxtasksperchild"):
                Pool(2, maxtasksperchild=bad)  # type: ignore[arg-type]


for name, why in NOT_OURS.items():
    setattr(Processes, name, unittest.skip(why)(lambda _self: None))


class TestPoolOfCPython(Processes, cpython._TestPool, unittest.TestCase):  # type: ignore[misc]
    """All methods of a pool."""


def of_workers(tests: Any) -> Any:
    """Tests that ask for the module's ``Pool``, without those that are not about any pool."""
    skipped = {
        each: unittest.skip(why)(lambda _self: None)
        for each, why in OF_WORKERS.items()
        if hasattr(tests, each)
    }
    return type(tests.__name__, (tests,), {"TYPE": "processes", **skipped})


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "Pool", Pool)


@pytest.mark.usefixtures("ours")
class TestErrorsOfCPython(of_workers(cpython._TestPoolWorkerErrors), unittest.TestCase):  # type: ignore[misc]
    """Callbacks of errors."""


@pytest.mark.slow
@pytest.mark.usefixtures("ours")
class TestLifetimeOfCPython(of_workers(cpython._TestPoolWorkerLifetime), unittest.TestCase):  # type: ignore[misc]
    """``maxtasksperchild``."""


# Collected as what stands above, not by the name that it was imported under.
del cpython
