"""``memory_summary``: the live refs of the session, as text."""

from __future__ import annotations

from typing import Any

from paralab.memory_summary import memory_summary

__all__ = ["memory_summary"]


def __getattr__(name: str) -> Any:
    from paralab.absent import inside

    raise AttributeError(inside(__name__, name))
