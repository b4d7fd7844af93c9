"""One browser and one JupyterLab for all tests here; leaks are looked for when both have ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from lab import browser, lab, why_not

if TYPE_CHECKING:
    from pathlib import Path

    from leak_check import LeakCheck


class Lab(NamedTuple):
    """A running JupyterLab, and the browser to look at it."""

    browser: Any
    address: str
    folder: Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them are slow, and none runs without a browser."""
    reason = why_not()
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(400))
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def chromium(leak_check: LeakCheck, request: pytest.FixtureRequest) -> Iterator[Any]:
    with leak_check.postponed(request.node.nodeid), browser() as found:
        yield found


@pytest.fixture(scope="module")
def jupyter(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    with lab(folder) as address:
        yield Lab(chromium, address, folder)
