"""The live refs of a session as text, and memory that a task cannot have."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import importlib
from typing import Any

import pytest


def summary(rt: Any, **how: Any) -> str:
    """What ``ray memory`` prints."""
    module = importlib.import_module(f"{rt.library.__name__}._private.internal_api")
    text: str = module.memory_summary(**how)
    return text


def line_of(text: str, ref: Any) -> str:
    (line,) = [line for line in text.splitlines() if ref.hex() in line and "|" in line]
    return line


def test_live_refs(rt: Any) -> None:
    @rt.remote
    def one() -> int:
        return 1

    @rt.remote
    class Actor:
        def method(self) -> int:
            return 1

    made, put = one.remote(), rt.put(b"x" * 1_000_000)
    actor = Actor.remote()
    rt.get([made, actor.method.remote()])
    text = summary(rt, line_wrap=False)
    assert "Grouping by node address..." in text
    assert "Sorting by object size..." in text
    assert "--- Summary for node address: " in text
    assert "--- Object references for node address: " in text
    for title in ("Mem Used by Objects", "Local References", "Pinned", "Actor Handles"):
        assert title in text
    assert "LOCAL_REFERENCE" in line_of(text, made)
    assert "FINISHED" in line_of(text, made)
    assert "LOCAL_REFERENCE" in line_of(text, put)
    assert "Driver" in line_of(text, put)
    assert "ACTOR_HANDLE" in text
    assert "creation" in text.lower() or "made" in text
    name = put.hex()
    del put
    assert name not in summary(rt)


def test_figures_of_the_store(rt: Any) -> None:
    text = summary(rt, stats_only=True)
    assert text.startswith("--- Aggregate object store stats across all nodes ---\n")
    assert "% full" in text


def test_wrong_arguments(rt: Any) -> None:
    with pytest.raises(Exception, match=r"(?i)NODE_ADDRESS[,\s]+or[\s]+STACK|NODE_ADDRESS, STACK"):
        summary(rt, group_by="colour")
    with pytest.raises(Exception, match=r"PID, OBJECT_SIZE"):
        summary(rt, sort_by="colour")


def test_a_memory_error_is_an_exception_like_others(rt: Any) -> None:
    @rt.remote
    def too_much() -> bytes:
        return bytes(1 << 60)

    @rt.remote
    def one() -> int:
        return 1

    with pytest.raises(rt.exceptions.RayTaskError, match="MemoryError") as caught:
        rt.get(too_much.remote())
    assert isinstance(caught.value.cause, MemoryError)
    assert rt.get(one.remote()) == 1


def test_an_error_of_memory_can_be_made(rt: Any) -> None:
    error = rt.exceptions.OutOfMemoryError("it was too much")
    assert isinstance(error, rt.exceptions.RayError)
    assert error.message == "it was too much"
    assert "it was too much" in str(error)
