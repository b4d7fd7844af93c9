"""``multiprocessing.Pool`` on actors: one changed import, and the program runs on paralab."""

from __future__ import annotations

from multiprocessing import JoinableQueue, TimeoutError  # noqa: A004

from paralab.util.multiprocessing.pool import Pool

__all__ = ["JoinableQueue", "Pool", "TimeoutError"]
