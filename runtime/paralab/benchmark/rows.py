"""What is measured, on which sides, and what has to be reached.  Pure data.

A goal is either absolute (``≥ 50,000/s``) or a ratio to another side of the same run
(``≥ 0.5 × bare``); ratios survive a change of machine, absolute goals are for two cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SUBJECT = "paralab"
BARE = "bare"


@dataclass(frozen=True)
class Side:
    """Something that a row is measured with."""

    name: str
    title: str
    requires: str | None = None
    """Module without which the side is left out."""
    peer: bool = False
    """Another runtime or library that is not part of Python, left out by ``--no-peers``."""
    slow: bool = False
    """Takes seconds to start: all its rows share one interpreter per run."""


@dataclass(frozen=True)
class Goal:
    """What the subject has to reach in a row."""

    bound: float
    against: str | None = None
    """The side that the subject is divided by, or None for an absolute goal."""
    at_most: bool = False

    def text(self, unit: str) -> str:
        """The goal as it is shown."""
        sign = "≤" if self.at_most else "≥"
        if self.against is not None:
            return f"{sign} {self.bound:g} × {SIDES[self.against].title}"
        return f"{sign} {self.bound:,g}{'' if unit.startswith('/') else ' '}{unit}".rstrip()

    def met(self, value: float) -> bool:
        """Whether ``value`` (a median, or the ratio to ``against``) reaches the goal."""
        return value <= self.bound if self.at_most else value >= self.bound


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    unit: str
    sides: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    arrays: bool = False
    """Needs NumPy."""
    full_only: bool = False
    """Takes long or much memory: only with ``--full``."""
    pinned: bool = False
    """Driver and worker are pinned to two different cores, where there are two."""


@dataclass(frozen=True)
class Sizes:
    """How much each row does.  ``seconds`` bounds a loop from below."""

    seconds: float
    in_flight: int
    """Calls in flight on sides that manage over 10,000 a second, a tenth of it on others."""
    array_bytes: int
    refs: int
    actors: int
    alive: int
    repeats: int
    """Times that a 200 MB copy, or another slow step, is repeated within one run."""


FULL = Sizes(0.5, 20_000, 200_000_000, 1_000, 20, 1_000, 7)
QUICK = Sizes(0.02, 200, 2_000_000, 50, 2, 4, 2)

SIDES: Mapping[str, Side] = {
    side.name: side
    for side in (
        Side(SUBJECT, "paralab"),
        Side("events_off", "without events"),
        Side(BARE, "bare"),
        Side("memcpy", "memcpy", requires="numpy"),
        Side("pool", "Pool"),
        Side("executor", "ProcessPoolExecutor"),
        Side("grpc", "gRPC echo", requires="grpc"),
        Side("loky", "loky", requires="loky", peer=True),
        Side("joblib", "joblib on loky", requires="joblib", peer=True),
        Side("dask_processes", "Dask's processes", requires="dask", peer=True),
        Side("dask_threads", "Dask's threads", requires="dask", peer=True),
        Side("ray", "Ray", requires="ray", peer=True, slow=True),
        Side("dask", "Dask", requires="distributed", peer=True, slow=True),
    )
}

_POOLS = ("pool", "executor", "loky")

ROWS: tuple[Row, ...] = (
    Row(
        "task",
        "one task, submit → get",
        "/s",
        (SUBJECT, BARE, *_POOLS, "grpc", "ray", "dask"),
        (Goal(0.5, BARE), Goal(4, "grpc")),
        pinned=True,
    ),
    Row(
        "tasks_in_flight",
        "many tasks in flight",
        "/s",
        (SUBJECT, BARE, *_POOLS, "ray", "dask"),
        (Goal(50_000), Goal(2, "pool")),
    ),
    Row(
        "actor_call",
        "actor call, submit → get",
        "/s",
        (SUBJECT, BARE, "ray", "dask"),
        (Goal(0.55, BARE),),
        pinned=True,
    ),
    Row(
        "actor_calls_in_flight",
        "actor calls in flight",
        "/s",
        (SUBJECT, BARE, "ray"),
        (Goal(50_000),),
    ),
    Row(
        "async_actor_calls_in_flight",
        "async actor calls in flight",
        "/s",
        (SUBJECT, BARE, "ray"),
        (Goal(20_000),),
    ),
    Row("put_small", "put of a small value", "/s", (SUBJECT, "ray"), (Goal(150_000),)),
    Row("get_small", "get of a small value", "/s", (SUBJECT, "ray"), (Goal(400_000),)),
    Row(
        "put_array_first",
        "put of a 200 MB array, first",
        "GB/s",
        (SUBJECT, "memcpy", "ray"),
        (Goal(0.2, "memcpy"),),
        arrays=True,
    ),
    Row(
        "put_array_warm",
        "put of a 200 MB array, warm",
        "GB/s",
        (SUBJECT, "memcpy", "ray"),
        (Goal(0.95, "memcpy"),),
        arrays=True,
    ),
    Row(
        "get_array",
        "get of a 200 MB array, no copy",
        "ms",
        (SUBJECT, "ray"),
        (Goal(0.3, at_most=True),),
        arrays=True,
    ),
    Row(
        "task_with_array",
        "task that takes a 200 MB array by ref",
        "/s",
        (SUBJECT, "ray"),
        (Goal(5_000),),
        arrays=True,
    ),
    Row("wait_ready", "wait on 1,000 ready refs", "/s", (SUBJECT, "ray"), (Goal(5_000),)),
    Row(
        "start",
        "import + init + first result",
        "s",
        (SUBJECT, *_POOLS, "ray", "dask"),
        (Goal(0.3, at_most=True),),
    ),
    Row(
        "idle_memory",
        "idle memory (PSS), driver excluded",
        "MB",
        (SUBJECT, "ray", "dask"),
        (Goal(120, at_most=True),),
    ),
    Row("new_actor", "new actor, answered", "/s", (SUBJECT, "ray"), (Goal(150),)),
    Row(
        "pool_map",
        "Pool.map of no-ops, 100 a chunk",
        "/s",
        (SUBJECT, "pool"),
        (Goal(1, "pool"),),
    ),
    Row(
        "pool_map_arrays",
        "Pool.map of 10 MB arrays, there and back",
        "GB/s",
        (SUBJECT, "pool"),
        (Goal(1, "pool"),),
        arrays=True,
    ),
    Row("shards", "parallel iterator: items as they come", "/s", (SUBJECT, "pool")),
    Row("executor_calls", "executor: calls in flight", "/s", (SUBJECT, "executor")),
    Row(
        "joblib_calls",
        "joblib: no-ops",
        "/s",
        (SUBJECT, "joblib"),
        (Goal(1, "joblib"),),
    ),
    Row(
        "joblib_array",
        "joblib: loops of 20 over one 10 MB array",
        "/s",
        (SUBJECT, "joblib"),
        (Goal(1, "joblib"),),
        arrays=True,
    ),
    Row(
        "search",
        "scikit-learn: fits of a grid search",
        "/s",
        (SUBJECT, "joblib"),
        (Goal(1, "joblib"),),
        arrays=True,
    ),
    Row(
        "forest",
        "scikit-learn: trees of a random forest",
        "/s",
        (SUBJECT, "joblib"),
        (Goal(1, "joblib"),),
        arrays=True,
    ),
    Row(
        "dask_graph",
        "Dask: a graph of no-ops",
        "/s",
        (SUBJECT, "dask_processes", "dask_threads"),
        (Goal(1, "dask_processes"),),
    ),
    Row(
        "actors_alive",
        "actors alive at once, all answer",
        "actors",
        (SUBJECT,),
        (Goal(1_000),),
        full_only=True,
    ),
    Row(
        "events",
        "tasks in flight, with events",
        "/s",
        (SUBJECT, "events_off"),
        (Goal(0.95, "events_off"),),
    ),
)


def find_rows(names: str | None, *, full: bool) -> tuple[Row, ...]:
    """The rows called ``names`` (comma-separated); without names all, long ones if ``full``.

    Raises:
        ValueError: a name is unknown.
    """
    if names is None:
        return tuple(row for row in ROWS if full or not row.full_only)
    known = {row.name: row for row in ROWS}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise ValueError(f"no row {', '.join(unknown) or names!r}; rows are {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(wanted))
