"""E4: 10,000 refs in one ``get``, and other things that are done with so many."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

import paralab
from scorecard_tasks import objects, same, total_of

COUNT = 10_000


def took(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    action()
    return clock() - start


def test_ten_thousand_refs_in_one_get(session: object, scorecard: Any) -> None:
    refs = [paralab.put(n) for n in range(COUNT)]
    assert paralab.get(refs) == list(range(COUNT))
    seconds = took(lambda: paralab.get(refs))
    scorecard.figure(
        "E4", f"get of {COUNT:,} objects", round(seconds, 3), "s", "Ray: 0.6 s", short="{}"
    )
    # The driver's own work, which does not depend on what else the machine does.
    assert took(lambda: paralab.get(refs), time.process_time) < 0.6
    paralab.get([same.remote(n) for n in range(500)])
    seconds = took(lambda: paralab.get([same.remote(n) for n in range(COUNT)]))
    scorecard.figure("E4", f"get of {COUNT:,} tasks' results, these too", round(seconds, 3), "s")


def test_refs_of_others_and_refs_inside_objects(session: object) -> None:
    refs = paralab.get(objects.remote(COUNT))
    assert paralab.get(total_of.remote(refs)) == sum(range(COUNT))
    assert paralab.get(refs) == list(range(COUNT))
    ours = paralab.get(paralab.put([paralab.put(n) for n in range(COUNT)]))
    assert paralab.get(ours) == list(range(COUNT))


@pytest.mark.parametrize("shape", ["chain", "fan-out", "cancel"])
def test_time_grows_with_their_number_and_no_faster(session: object, shape: str) -> None:
    def chain(count: int) -> None:
        ref = same.remote(1)
        for _ in range(count):
            ref = same.remote(ref)
        assert paralab.get(ref) == 1

    def fan_out(count: int) -> None:
        ref = same.remote(1)
        assert paralab.get([same.remote(ref) for _ in range(count)]) == [1] * count

    def cancel(count: int) -> None:
        refs = [same.remote(n) for n in range(count)]
        for ref in reversed(refs):
            paralab.cancel(ref)
        assert len(paralab.wait(refs, num_returns=count)[0]) == count

    do = {"chain": chain, "fan-out": fan_out, "cancel": cancel}[shape]
    do(200)
    small = min(took(lambda: do(500), time.process_time) for _ in range(3))
    large = took(lambda: do(5_000), time.process_time)
    assert large < 40 * small + 0.5, (small, large)
