"""Fixtures for the tests of views and profilers."""

from __future__ import annotations

import sys

import pytest

from paralab_profiling import take
from paralab_profiling.attaching import outside, targets
from paralab_profiling.profilers import measuring

SECONDS = 60.0


@pytest.fixture(autouse=True)
def answers_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is short of CPU answers late, and is not to be left out for that."""
    monkeypatch.setattr(measuring, "SECONDS", SECONDS)
    monkeypatch.setattr(take, "__defaults__", (SECONDS,))


@pytest.fixture
def attached_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is a process that is looked at to be taken for one that is deaf."""
    asking = sys.modules["paralab_profiling.attaching.attach"]
    monkeypatch.setattr(asking, "ANSWER_SECONDS", SECONDS)
    monkeypatch.setattr(asking, "LAST_SECONDS", SECONDS)
    monkeypatch.setattr(targets, "SECONDS", SECONDS)
    monkeypatch.setattr(outside, "END_SECONDS", SECONDS)
