"""The few of Ray's private helpers that its public examples import: how much memory there is."""

from __future__ import annotations

from typing import Any

from paralab.limits import memory_available, memory_limit

__all__ = [
    "estimate_available_memory",
    "get_system_memory",
    "get_used_memory",
]


def get_system_memory() -> int:
    """Bytes of memory that may be used at most: the machine's, or the control group's limit."""
    return memory_limit()


def estimate_available_memory() -> int:
    """Bytes that can be had now without swapping or running into a limit."""
    return memory_available()


def get_used_memory() -> int:
    """Bytes in use: what there is, less what can be had."""
    return max(0, memory_limit() - memory_available())


def __getattr__(name: str) -> Any:
    from paralab.absent import inside

    raise AttributeError(inside(__name__, name))
