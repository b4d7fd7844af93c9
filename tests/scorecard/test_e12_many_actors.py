"""E12: a thousand actors at once; each answers twice."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

import paralab
from leak_check import descendants
from process_memory import proportional
from scorecard_tasks import Counter


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_actors_that_answer_twice(runtime: object, scorecard: Any) -> None:
    count = 1_000 if scorecard.full else 24
    start = time.perf_counter()
    actors = [Counter.remote(number) for number in range(count)]
    for calls in (1, 2):
        answers = paralab.get([actor.next.remote() for actor in actors])
        assert answers == [(number, calls) for number in range(count)]
    seconds = time.perf_counter() - start
    memory = proportional(descendants(os.getpid()))
    what = f"{count:,} actors that answer twice"
    peer = "Ray: 10 actors in 18 s under load"
    scorecard.figure("E12", what, round(seconds, 2), "s", peer, short="{}")
    scorecard.figure(
        "E12", f"{what}: memory (PSS), node and zygote too", memory >> 20, "MiB", short="{}"
    )
    start = time.perf_counter()
    del actors
    paralab.shutdown()
    scorecard.figure(
        "E12", f"{what}: until all are gone", round(time.perf_counter() - start, 2), "s"
    )
    assert memory < (100 + 8 * count) << 20
