"""``concurrent.futures`` on actors: one changed import, and the program runs on paralab."""

from __future__ import annotations

from paralab.util.concurrent.executor import Executor

__all__ = ["Executor"]
