"""Measuring a chain against a tree on a session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import paralab
from paralab_profiling.aggregation.differences import difference
from paralab_profiling.aggregation.model import CHAIN, TREE, ways_of
from paralab_profiling.aggregation.result import Aggregation
from paralab_profiling.aggregation.so_far import LOCAL, AggregationSoFar
from paralab_profiling.live.following import following
from paralab_profiling.scaling.measuring import FEWEST, both_ways, refuse_local_mode, set_aside
from paralab_profiling.scaling.model import Block
from paralab_profiling.taking import take


def aggregate(
    function: Callable[[Any, Any], Any],
    values: Iterable[Any],
    *,
    workers: int | None = None,
    repeats: int = 3,
    confidence: float = 0.95,
    seed: int = 0,
    live: bool | None = None,
) -> Aggregation:
    """Combines ``values`` into one by ``function``, as a chain and as a tree, and compares both.

    The values are put into the store once, before anything is measured, so that both shapes take
    them from there.

    Args:
        function: takes two values and gives one; anything that can be called, or what
            ``paralab.remote`` made.  It should be associative.
        values: at least two, of any kind.
        workers: how many to use, at most the CPUs of the session; by default all.
        repeats: pairs of runs, at least 3.
        confidence: of the interval, 0 to 1.
        seed: of the bootstrap.
        live: whether both shapes are shown while they fill; by default in notebooks with widgets.
            A run is looked at only from half a second on, with a twentieth of one CPU at most.

    Raises:
        SystemFailure: paralab is not running, see ``paralab.init``.
        ValueError: fewer than two values, too few repeats, or fewer CPUs than workers.
        RuntimeError: the session is in local_mode, or other work of it keeps the CPUs that were to
            be set aside.
        ImportError: ``live`` is set, and anywidget, ipywidgets or IPython is missing.
    """
    given = list(values)
    cpus = int(paralab.cluster_resources().get("CPU", 1))
    count = cpus if workers is None else workers
    if len(given) < 2:
        raise ValueError(f"aggregate() needs at least two values, not {len(given)}")
    if repeats < FEWEST:
        raise ValueError(f"aggregate() needs at least {FEWEST} repeats, not {repeats}")
    if not 1 <= count <= cpus:
        raise ValueError(f"this session has {cpus} CPUs, so workers cannot be {count}")
    refuse_local_mode()
    plain, remote, name = both_ways(function)
    ways: dict[str, Callable[[Any, Sequence[Any]], Any]] = {CHAIN: _chain, TREE: _tree}
    since = time.monotonic_ns()
    refs = [paralab.put(value) for value in given]
    blocks: dict[str, list[Block]] = {CHAIN: [], TREE: []}
    results: dict[str, Any] = {}
    local: list[float] = []
    paralab.get([remote.remote(refs[0], refs[1]) for _ in range(2 * cpus)])  # a warm-up
    so_far = AggregationSoFar(name, len(given), repeats)
    with set_aside(cpus - count), following(so_far.picture, live) as shown:
        for round_ in range(repeats):
            order = (CHAIN, TREE) if round_ % 2 == 0 else (TREE, CHAIN)
            for way in order:
                so_far.begin(way)
                shown.tell()
                with shown.watching(so_far.hear):
                    start = time.monotonic_ns()
                    results[way] = paralab.get(ways[way](remote, refs))
                    blocks[way].append((start, time.monotonic_ns()))
                so_far.end((blocks[way][-1][1] - start) / 1e9)
                shown.tell()
            so_far.begin(LOCAL)
            start = time.monotonic_ns()
            results["local"] = reduce(plain, given)
            local.append((time.monotonic_ns() - start) / 1e9)
            so_far.end(local[-1])
    recording = take().between(since, time.monotonic_ns())
    chain, tree, gain = ways_of(
        recording, blocks, len(given), count, seed=seed, confidence=confidence
    )
    return Aggregation(
        *(name, len(given), count, chain, tree, gain, tuple(local)),
        difference(results[CHAIN], results[TREE]),
        difference(results["local"], results[CHAIN]),
        recording,
    )


def _chain(remote: Any, refs: Sequence[Any]) -> Any:
    return reduce(remote.remote, refs)


def _tree(remote: Any, refs: Sequence[Any]) -> Any:
    level = list(refs)
    while len(level) > 1:
        above = [remote.remote(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = above + level[len(above) * 2 :]
    return level[0]
