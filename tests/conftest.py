"""Fixtures for all tests.  The check that runs after every test is in leak_check.py."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from leak_check import LeakCheck

pytest_plugins = ["pytester"]

# Both would be tests of the machine: how long one example takes, and how long it takes to draw it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

SLOW_FOLDERS = ("tests/scorecard/", "tests/sim/")
"""What happens when processes die and messages get lost is the same on every Python."""

THE_SAME_EVERYWHERE = (
    *SLOW_FOLDERS,
    "tests/browser/",
    # Texts: documents, notebooks, the code itself.
    "tests/exercises/test_all_exercises.py",
    "tests/test_binder.py",
    "tests/test_compatibility.py",
    "tests/test_instructors.py",
    "tests/test_leak_check.py",
    "tests/test_notebooks.py",
    "tests/test_readme.py",
    "tests/test_scorecard_table.py",
    "tests/test_structure.py",
    # What is computed and drawn from recordings and profiles that are made up.
    *(
        f"tests/profiling/test_{view}.py"
        for view in (
            "aggregation", "differences", "explain", "explained_programs", "frame_pictures",
            "graph", "interact", "lanes", "lanes_drawing", "overhead", "palette", "paths",
            "perfetto", "pictures", "predict", "readme_pictures", "replay", "spans", "speedup",
            "what_if",
        )
    ),
)  # fmt: skip
"""Folders and files that ``--every-python`` leaves out: the main Python has said it for all."""


def pytest_configure() -> None:
    """Undoes what nohup and a shell's background jobs leave: programs under test inherit it."""
    for number, usual in (
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-python",
        action="store_true",
        help="only what may depend on the Python and the versions of packages, and is not slow",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``--every-python``, what is the same everywhere is not even imported."""
    if not config.getoption("--every-python"):
        return None
    path = collection_path.relative_to(config.rootpath).as_posix()
    return path.startswith(THE_SAME_EVERYWHERE) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whole folders are slow, and so are hypothesis' state machines."""
    for item in items:
        is_machine = item.name == "runTest"
        if is_machine or any(folder in item.path.as_posix() for folder in SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)
    if config.getoption("--every-python"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


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
