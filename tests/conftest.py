"""Fixtures for all tests.  The check that runs after every test is in leak_check.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from leak_check import LeakCheck

pytest_plugins = ["pytester"]
SLOW_FOLDERS = ("tests/scorecard/", "tests/sim/")
"""What happens when processes die and messages get lost is the same on every Python."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole folders are slow, and so are hypothesis' state machines."""
    for item in items:
        is_machine = item.name == "runTest"
        if is_machine or any(folder in item.path.as_posix() for folder in SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def shutdown_after() -> Iterator[None]:
    """For a test that starts runtimes itself: whatever happens, none is left running."""
    import paralab

    yield
    paralab.shutdown()


@pytest.fixture
def runtime(shutdown_after: None) -> Any:
    """A runtime with two CPUs for one test; the value is what ``init`` returned."""
    import paralab

    return paralab.init(num_cpus=2)


@pytest.fixture(scope="module")
def session(leak_check: LeakCheck, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A runtime with two CPUs for all tests of a module that ask for it.

    Leaks are looked for at the end of the module, against what there was before.
    """
    import paralab

    with leak_check.postponed(request.node.nodeid):
        try:
            yield paralab.init(num_cpus=2)
        finally:
            paralab.shutdown()
