"""E2: a task with 10,000 refs as arguments."""

from __future__ import annotations

import time
from typing import Any

import paralab
from patience import patient
from scorecard_tasks import same, total

COUNT = 10_000


def test_ten_thousand_refs_as_arguments(runtime: object, scorecard: Any) -> None:
    expected = (COUNT, sum(range(COUNT)))
    paralab.get(total.remote(1, 2))
    refs = [paralab.put(n) for n in range(COUNT)]
    start = time.perf_counter()
    assert paralab.get(total.remote(*refs)) == expected
    seconds = time.perf_counter() - start
    scorecard.figure(
        "E2", f"a task of {COUNT:,} objects", round(seconds, 3), "s", "Ray: 1.7 s", short="{}"
    )
    assert seconds < patient(17), "ten times as long: something grows with the square"
    start = time.perf_counter()
    assert paralab.get(total.remote(*[same.remote(n) for n in range(COUNT)])) == expected
    seconds = time.perf_counter() - start
    scorecard.figure("E2", f"a task of {COUNT:,} tasks' results, these too", round(seconds, 3), "s")
