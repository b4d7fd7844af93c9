"""The program that README.md shows; a module of its own, so that workers import nothing else."""

from __future__ import annotations

import random
import time
from typing import Any

import paralab

CLEANED = 80
TASKS = 3 + 3 * CLEANED + 3 + 3 + 1
"""Loads, cleans, merges, calls of the actor, its constructor."""


def work(seconds: float) -> float:
    """Computes for so long; real work, that two workers can share."""
    total, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        total += sum(range(200))
    return total


def add(one: float, other: float) -> float:
    """An addition that takes a while."""
    work(0.02)
    return one + other


def is_inside(x: float, y: float) -> bool:
    """Whether a point lies in the unit circle."""
    return x * x + y * y < 1.0


def draw() -> tuple[float, float]:
    """A point of the unit square."""
    return random.random(), random.random()


def count_hits(points: int) -> int:
    """How many of so many random points lie in the circle: π / 4 of them."""
    return sum(is_inside(*draw()) for _ in range(points))


def loads_and_merge() -> None:
    """Three arrays of 20, 40 and 80 MB, and one of all of them."""
    import numpy as np

    @paralab.remote
    def load(megabytes: int) -> Any:
        return np.ones(megabytes * 1_000_000 // 8)

    @paralab.remote
    def merge(*parts: Any) -> Any:
        return np.concatenate(parts)

    parts = [load.remote(megabytes) for megabytes in (20, 40, 80)]
    paralab.wait([merge.remote(*parts)])


def program() -> None:
    """Loads, cleans in many small tasks, merges, and lets an actor keep the scores."""

    @paralab.remote
    def load(part: int) -> list[int]:
        work(0.012 + 0.01 * part)
        return list(range(part, part + 2_000))

    @paralab.remote
    def clean(rows: list[int], at: int) -> int:
        work(0.0002)
        return rows[at]

    @paralab.remote
    def merge(*parts: int) -> int:
        work(0.02)
        return sum(parts)

    @paralab.remote
    class Scores:
        def __init__(self) -> None:
            self.best = 0

        def add(self, score: int) -> int:
            work(0.015)
            self.best = max(self.best, score)
            return self.best

    scores: Any = Scores.remote()
    loaded = [load.remote(part) for part in range(3)]
    cleaned = [[clean.remote(rows, at) for at in range(CLEANED)] for rows in loaded]
    paralab.get([scores.add.remote(merge.remote(*parts)) for parts in cleaned])
