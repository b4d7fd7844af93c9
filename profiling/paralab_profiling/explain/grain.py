"""Too fine tasks: the overhead of a task costs as much as what it does."""

from __future__ import annotations

from collections.abc import Iterator

from paralab_profiling.breakdown.parts import batching
from paralab_profiling.explain.finding import Facts, Finding, called, name_in_code, some
from paralab_profiling.svg import duration, percent

FINE_NS = 5_000_000
"""A task that runs longer has its overhead from something else."""
LEAST_OVERHEAD = 0.25
"""Of the time for a task."""


def too_fine(facts: Facts) -> Iterator[Finding]:
    """Many tasks of a few microseconds: make each do the work of several."""
    better = batching(facts.recording, facts.spent)
    if better is None or better.run_ns > FINE_NS or 1 - better.share < LEAST_OVERHEAD:
        return
    name, size = name_in_code(better.name), better.per_batch
    run, lost = duration(better.run_ns / 1e9), duration(better.overhead_ns / 1e9)
    yield Finding(
        kind="too fine tasks",
        finding=(
            f"The {better.tasks:,} tasks of {called(better.name)} are too small: at {run} each,"
            f" {percent(1 - better.share)} of the workers' time for them is overhead"
        ),
        evidence=(
            f"For each, {run} went to your function and {lost} of a worker's time to"
            " submitting, sending, unpickling and storing."
        ),
        remedy=(
            f"Let a task do about {size} of them; that would make your code"
            f" {percent(better.share_then)} of its time:"
        ),
        code=(
            "@paralab.remote\n"
            f"def {name}_batch(items):\n"
            f"    return [{name}(item) for item in items]  # the plain function\n\n"
            f"refs = [{name}_batch.remote(items[i : i + {size}])"
            f" for i in range(0, len(items), {size})]"
        ),
        gain_ns=better.saved_ns / facts.workers,
        wall_ns=facts.wall_ns,
        rests_on="the overhead of a task does not grow with its size",
        tasks=some(facts.by_name[better.name]),
    )
