"""Programs written for Ray, on each engine of paralab, or on Ray itself.

``make conformance-ray`` runs them on Ray, which shows whether what they expect is what Ray does.
``PARALAB_CONFORMANCE=ray pytest FILE -p no:leak_check -W default`` does it on the one installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

LIBRARY = os.environ.get("PARALAB_CONFORMANCE", "paralab")
ENGINES: dict[str, dict[str, Any]] = {"ray": {"include_dashboard": False}}
if LIBRARY == "paralab":
    ENGINES = {"local": {"local_mode": True}, "pickled": {"local_mode": "pickled"}}
    if importlib.util.find_spec("paralab.process.session") is not None:
        ENGINES["processes"] = {}


class _Runtime:
    """The library under test, and which engine runs."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.library = importlib.import_module(LIBRARY)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.library, name)

    def __reduce__(self) -> tuple[Any, ...]:
        # Functions under test use it as a global of theirs: they get the library itself.
        return importlib.import_module, (LIBRARY,)


def _begin(runtime: _Runtime) -> None:
    """Starts a session; Ray waits 30 s for its own daemons, which is short on a busy machine."""
    for more in (2, 1, 0):
        try:
            runtime.init(num_cpus=2, **ENGINES[runtime.engine])
            return
        except Exception as error:
            if not more or "timed out during startup" not in str(error):
                raise
            runtime.shutdown()


@pytest.fixture(scope="module", params=ENGINES)
def rt(request: pytest.FixtureRequest) -> Iterator[Any]:
    """``paralab`` or ``ray``, running with two CPUs, for all tests of a module."""
    runtime = _Runtime(request.param)
    postponed = nullcontext()
    if LIBRARY == "paralab":
        postponed = request.getfixturevalue("leak_check").postponed(request.node.nodeid)
    with postponed:
        try:
            _begin(runtime)
            yield runtime
        finally:
            runtime.shutdown()
