"""What kept a parallel run from local time ÷ workers, item by item.

Each worker's time is divided without gaps and without overlap, so the items add up: from the start
of the run to its first task it is *starting*; in a task it loads, runs and stores; between two
tasks it is *idle between tasks*; after its last one it has *nothing left to do* while others
still work; after the last task of all the driver is *collecting results*.  A worker that got no
task had nothing to do all the time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from paralab_profiling.recording import Recording, Task

STARTING = "starting"
LOADING = "loading arguments"
BETWEEN = "idle between tasks"
STORING = "storing results"
NOTHING = "nothing left to do"
COLLECTING = "collecting results"
ITEMS = (LOADING, BETWEEN, STARTING, STORING, NOTHING, COLLECTING)


def missing_time(
    recording: Recording, block_ns: tuple[int, int], workers: int
) -> Mapping[str, float]:
    """Seconds of the run that went to each of :data:`ITEMS`, and not to a function.

    An item's workers' time is divided by the number of workers, so that the items and the run
    time ÷ workers add up to the time of the run.

    Args:
        recording: its tasks that ran on workers; calls of actors and what has not ended are left
            out.
        block_ns: the stamps at which the run began and ended.
        workers: how many there were.
    """
    begin, end = block_ns
    lanes: dict[int, list[Task]] = defaultdict(list)
    for task in recording:
        if task.ran and task.actor is None:
            lanes[task.worker].append(task)
    last = max((task.stamps["stored"] for lane in lanes.values() for task in lane), default=begin)
    last = min(last, end)
    found = dict.fromkeys(ITEMS, 0)
    for lane in lanes.values():
        _divide(sorted(lane, key=lambda task: task.stamps["taken"]), begin, last, found)
    found[NOTHING] += max(0, workers - len(lanes)) * (last - begin)
    found[COLLECTING] += max(workers, len(lanes)) * (end - last)
    return {item: ns / workers / 1e9 for item, ns in found.items()}


def _divide(lane: list[Task], begin: int, last: int, found: dict[str, int]) -> None:
    """Adds one worker's time up to ``last``; ``at`` is up to where it has been divided."""
    at, item = begin, STARTING
    for task in lane:
        for name, stamp in (
            (item, "taken"),
            (LOADING, "loaded"),
            ("", "ended"),
            (STORING, "stored"),
        ):
            until = min(max(at, task.stamps[stamp]), last)
            if name:
                found[name] += until - at
            at = until
        item = BETWEEN
    found[NOTHING] += last - at
