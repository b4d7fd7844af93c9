"""E3: a task with 3,000 results."""

from __future__ import annotations

import time
from typing import Any

import paralab
from patience import patient

COUNT = 3_000


@paralab.remote(num_returns=COUNT)
def numbers() -> list[int]:
    return list(range(COUNT))


def test_three_thousand_results(runtime: object, scorecard: Any) -> None:
    paralab.get(numbers.remote())
    start = time.perf_counter()
    assert paralab.get(numbers.remote()) == list(range(COUNT))
    seconds = time.perf_counter() - start
    scorecard.figure(
        "E3", f"a task with {COUNT:,} results", round(seconds, 3), "s", "Ray: 0.2 s", short="{}"
    )
    assert seconds < patient(20), "ten times as long as it may: something grows with the square"
