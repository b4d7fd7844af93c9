"""A worker whose lease has changed hands hears of it from two sides, and not always in order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from paralab.messages import ASSIGNED
from paralab.process.executor import Executor


def test_what_an_earlier_holder_says_late_does_not_hold() -> None:
    executor = Executor()
    core: Any = SimpleNamespace(depth=0)
    executor.core = core
    assigned = executor.incoming.handlers[ASSIGNED]
    assigned(None, ASSIGNED, {"CPU": 20_000}, [], 3, None, 8)
    assigned(None, ASSIGNED, {"CPU": 10_000}, [], 1, ("a group", 0, True), 7)
    assert (core.depth, executor.threads_wanted) == (3, 2)
    assert executor.assigned.facts()["assigned_resources"] == {"CPU": 2.0}
    assert "submit" not in vars(core), "nothing is captured"
    assigned(None, ASSIGNED, {"CPU": 10_000}, [], 1, None, 9)
    assert (core.depth, executor.threads_wanted) == (1, 1)
