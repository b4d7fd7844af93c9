"""Chain against tree: the same n values and the same function, in two shapes.

A chain takes one value after the other: n − 1 calls, each of which needs the one before, so any
number of workers takes (n − 1)·t.  A tree combines neighbours: the same n − 1 calls, but only
⌈log2 n⌉ of them after one another; p workers take the sum over its levels of ⌈calls / p⌉·t.  Both
keep the order of the values, so the result is the same if the function is associative
(f(f(a, b), c) = f(a, f(b, c))); it need not be commutative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from statistics import mean, median

from paralab_profiling.paths import critical_path, span_ns
from paralab_profiling.recording import Recording, Task
from paralab_profiling.scaling.costs import costs_of
from paralab_profiling.scaling.intervals import Interval, interval_of, ratios_of
from paralab_profiling.scaling.model import Block
from paralab_profiling.scaling.replay import WORKERS, replays

CHAIN, TREE = "chain", "tree"


@dataclass(frozen=True, slots=True)
class Call:
    """One call: at which level, from 0 on, and the values ``first`` to ``last`` that it covers."""

    level: int
    first: int
    last: int


def chain_calls(count: int) -> list[Call]:
    """The calls of a chain over ``count`` values, in the order in which they are submitted."""
    return [Call(at, 0, at + 1) for at in range(count - 1)]


def tree_calls(count: int) -> list[Call]:
    """The same of a tree; a value that is left over goes up to the next level."""
    level, spans = 0, [(at, at) for at in range(count)]
    calls: list[Call] = []
    while len(spans) > 1:
        pairs = zip(spans[::2], spans[1::2], strict=False)
        above = [(first, last) for (first, _), (_, last) in pairs]
        calls += [Call(level, first, last) for first, last in above]
        spans = above + spans[len(above) * 2 :]
        level += 1
    return calls


def predicted_seconds(calls: Sequence[Call], workers: int, seconds: float) -> float:
    """The time of calls of ``seconds`` each, level by level on ``workers``, without overhead."""
    levels = Counter(call.level for call in calls)
    return sum(-(-count // workers) for count in levels.values()) * seconds


@dataclass(frozen=True)
class Way:
    """One of the two shapes; times in seconds.

    Attributes:
        name: "chain" or "tree".
        calls: in the order of their tasks.
        tasks: of the run that is shown.
        block: when it began and ended, ns.
        seconds: of all runs.
        path: the longest chain of dependent calls, measured.
        on_path: ids of the tasks that the end had to wait for.
        call: mean time of one call in the function.
        predicted: from it, level by level, without overhead.
        replayed: with overhead, by the number of workers.
        bytes_read: what the tasks took: their arguments and the objects that these name.
        bytes_written: their results.
    """

    name: str
    calls: tuple[Call, ...]
    tasks: tuple[Task, ...]
    block: Block
    seconds: tuple[float, ...]
    path: float
    on_path: frozenset[str]
    call: float
    predicted: float
    replayed: Mapping[int, float]
    bytes_read: int
    bytes_written: int

    @property
    def depth(self) -> int:
        """Calls after one another."""
        return max(call.level for call in self.calls) + 1

    @property
    def middle(self) -> float:
        """Median of the runs."""
        return median(self.seconds)

    @property
    def shown_seconds(self) -> float:
        """Of the run that is shown."""
        return (self.block[1] - self.block[0]) / 1e9

    def enough_workers(self) -> int:
        """The fewest workers whose replay is within 5 % of the shortest."""
        least = min(self.replayed.values())
        return min(at for at, seconds in self.replayed.items() if seconds <= 1.05 * least)


def ways_of(
    recording: Recording,
    blocks: Mapping[str, Sequence[Block]],
    count: int,
    workers: int,
    *,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[Way, Way, Interval]:
    """Chain, tree, and how many times sooner the tree was.

    Args:
        recording: holds the tasks of all runs, and the puts of the values.
        blocks: when the runs began and ended, by "chain" and "tree", in pairs.
        count: of values.
        workers: how many there were.
        seed, confidence: see :func:`interval_of`.

    Raises:
        ValueError: ``recording`` no longer has the tasks of a run.
    """
    seconds = {name: [(end - begin) / 1e9 for begin, end in of] for name, of in blocks.items()}
    ratios = ratios_of(seconds[CHAIN], seconds[TREE])
    gain = interval_of(ratios, seed=seed, confidence=confidence)
    typical = min(range(len(ratios)), key=lambda at: _oddity(at, seconds))
    sizes = {put.id: put.bytes for put in recording.puts}
    sizes |= {task.id: task.bytes_out for task in recording}
    found = []
    for name, calls in ((CHAIN, chain_calls(count)), (TREE, tree_calls(count))):
        block = blocks[name][typical]
        piece = replace(recording.between(*block), workers=workers)
        tasks = tuple(task for task in piece if task.parent is None and task.ran)
        if len(tasks) != len(calls):
            raise ValueError(
                f"of the {len(calls):,} calls of a {name} the session remembers {len(tasks):,}:"
                " aggregate fewer values."
            )
        call = mean(task.run_ns for task in tasks) / 1e9
        again = replays(piece, sorted({*WORKERS, workers}), block_ns=block, costs=costs_of(piece))
        read = sum(t.bytes_in + sum(sizes.get(need, 0) for need in t.needs) for t in tasks)
        found.append(
            Way(
                name=name,
                calls=tuple(calls),
                tasks=tasks,
                block=block,
                seconds=tuple(seconds[name]),
                path=span_ns(piece) / 1e9,
                on_path=frozenset(critical_path(piece)),
                call=call,
                predicted=predicted_seconds(calls, workers, call),
                replayed={each.workers: each.seconds for each in again},
                bytes_read=read,
                bytes_written=sum(task.bytes_out for task in tasks),
            )
        )
    chain, tree = found
    return chain, tree, gain


def _oddity(at: int, seconds: Mapping[str, Sequence[float]]) -> float:
    """How far a pair of runs is from the medians, in factors."""
    return sum(abs(log(max(of[at], 1e-9) / max(median(of), 1e-9))) for of in seconds.values())
