"""Every test of the API runs on each engine: in this process, in it with copies, on several."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

import paralab

if TYPE_CHECKING:
    from leak_check import LeakCheck

ENGINES: dict[str, dict[str, Any]] = {
    "local": {"local_mode": True},
    "pickled": {"local_mode": "pickled"},
}
if importlib.util.find_spec("paralab.process.session") is not None:
    ENGINES["processes"] = {}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, leak_check: LeakCheck) -> Iterator[str]:
    """A running session with two CPUs, the same for a whole module; the value is its kind."""
    with leak_check.postponed(request.node.nodeid):
        try:
            paralab.init(num_cpus=2, **ENGINES[request.param])
            yield request.param
        finally:
            paralab.shutdown()


@pytest.fixture(params=ENGINES)
def how(request: pytest.FixtureRequest, shutdown_after: None) -> dict[str, Any]:
    """Arguments of ``init`` for a test that starts sessions itself."""
    return {"num_cpus": 2, **ENGINES[request.param]}
