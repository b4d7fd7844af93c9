"""More threads than cores: numeric libraries that each use all cores, in several workers."""

from __future__ import annotations

from collections.abc import Iterator

from paralab_profiling.explain.finding import Facts, Finding, some


def oversubscribed(facts: Facts) -> Iterator[Finding]:
    """Workers whose libraries have threads of their own, more of them together than cores."""
    cores = int(facts.recording.facts.get("cores", "0"))
    ran_on = {task.worker for task in facts.ran}
    extra = {n: c for n, c in facts.recording.native_threads.items() if c and n in ran_on}
    # A library has one thread less than it uses: the caller's own is the last.
    at_once = sorted((count + 1 for count in extra.values()), reverse=True)[: facts.workers]
    total = sum(at_once)
    if len(at_once) < 2 or not cores or total <= cores:
        return
    yield Finding(
        kind="more threads than cores",
        finding=f"{len(at_once)} workers compute with {total} threads on {cores} cores",
        evidence=(
            f"{len(extra)} workers have threads that Python did not start, such as those of BLAS or"
            f" OpenMP: up to {max(extra.values())} besides the task's own."
        ),
        remedy="Let each task use the cores that it asked for, one by default:",
        code=(
            "from threadpoolctl import threadpool_limits\n\n"
            "with threadpool_limits(1):  # in the task\n    ...\n\n"
            "@paralab.remote(num_cpus=2)  # or, for two threads a task\ndef f(item): ..."
        ),
        gain_ns=None,
        wall_ns=facts.wall_ns,
        rests_on="what threads cost each other is in no event; run it once with one thread each",
        tasks=some([task for task in facts.ran if task.worker in extra]),
    )
