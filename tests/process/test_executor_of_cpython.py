"""CPython's own tests of ``concurrent.futures``' executors, run on the executor of actors.

They come from the installed Python, where it has its tests, as a package (since 3.12).
"""

from __future__ import annotations

import importlib
import unittest
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

import paralab
from paralab.util.concurrent import Executor

package: Any = pytest.importorskip("test.test_concurrent_futures")
if not hasattr(package, "__path__"):
    pytest.skip("this Python has them in one file", allow_module_level=True)

INSIDE = "looks into ProcessPoolExecutor's own queues, processes or threads; test_executor.py asks"
PROGRAM = "starts a program that imports ProcessPoolExecutor; test_executor.py has one of its own"
NOT_OURS = {
    "test_interpreter_shutdown": PROGRAM,
    "test_submit_after_interpreter_shutdown": PROGRAM,
    "test_hang_gh83386": PROGRAM,
    "test_killed_child": INSIDE,
    "test_saturation": INSIDE,
    "test_idle_process_reuse_one": INSIDE,
    "test_idle_process_reuse_multiple": INSIDE,
    "test_max_tasks_per_child": INSIDE,
    "test_max_tasks_per_child_defaults_to_spawn_context": INSIDE,
    "test_processes_terminate": INSIDE,
    "test_del_shutdown": INSIDE,
    "test_shutdown_no_wait": INSIDE,
    "test_context_manager_shutdown": INSIDE,
    "test_python_finalization_error": "makes the second thread fail; there is only one",
    "test_ressources_gced_in_workers": "counts on multiprocessing's managers",
}
SLEEP = {
    "test_map_timeout", "test_first_exception", "test_first_exception_one_already_failed",
    "test_duplicate_futures", "test_first_exception_some_already_complete", "test_first_completed",
    "test_20369", "test_first_completed_some_already_completed", "test_free_reference",
    "test_hang_issue12364", "test_future_times_out", "test_timeout",
}  # fmt: skip
"""Seconds go by, and some count on it: left to the Python on which slow tests run."""


@pytest.fixture(scope="module", autouse=True)
def two_cpus(leak_check: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    with leak_check.postponed(request.node.nodeid):
        try:
            paralab.init(num_cpus=2)
            yield
        finally:
            paralab.shutdown()


def of(module: str, name: str) -> Any:
    """A mixin of tests, without those that are not about any executor."""
    tests = getattr(importlib.import_module(f"{package.__name__}.{module}"), name)
    skipped = {
        each: unittest.skip(why)(lambda _self: None)
        for each, why in NOT_OURS.items()
        if hasattr(tests, each)
    }
    slow = {each: pytest.mark.slow(getattr(tests, each)) for each in SLEEP if hasattr(tests, each)}
    return type(name, (tests,), skipped | slow)


class Ours:
    """What the tests expect of the class that they are mixed into."""

    executor_type = Executor
    worker_count = 5

    def setUp(self) -> None:
        self.executor = self.executor_type(self.worker_count)

    def tearDown(self) -> None:
        self.executor.shutdown()

    def get_context(self) -> Any:
        """Of processes that are not forked from this one."""
        return SimpleNamespace(get_start_method=lambda **_arguments: "spawn")


class TestExecutor(Ours, of("test_process_pool", "ProcessPoolExecutorTest"), unittest.TestCase):  # type: ignore[misc]
    """submit, map, errors."""


class TestShutdown(Ours, of("test_shutdown", "ProcessPoolShutdownTest"), unittest.TestCase):  # type: ignore[misc]
    """The end."""


class TestAsCompleted(Ours, of("test_as_completed", "AsCompletedTests"), unittest.TestCase):  # type: ignore[misc]
    """as_completed."""


class TestWait(Ours, of("test_wait", "WaitTests"), unittest.TestCase):  # type: ignore[misc]
    """wait."""


class TestInitializer(of("test_init", "InitializerMixin"), unittest.TestCase):  # type: ignore[misc]
    """An initializer."""

    executor_type = Executor


class TestFailingInitializer(of("test_init", "FailingInitializerMixin"), unittest.TestCase):  # type: ignore[misc]
    """One that fails."""

    executor_type = Executor

    # What the worker logs, test_executor.py looks for in what it prints.
    _assert_logged = staticmethod(nullcontext)
