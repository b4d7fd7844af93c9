"""Whether going parallel paid, why not more, and what more workers would bring: the arithmetic.

From runs of the same calls, local and remote in pairs, and the recording of a remote run::

    local ÷ remote of each pair ──▶ speed-up with interval, efficiency = speed-up ÷ workers
    stamps ──▶ Model: work, span, overhead of a task ──▶ prediction, break-even, Amdahl's bound
    stamps ──▶ replay on 1 to 64 workers ──▶ what if; held against the runs that there are

*Prediction* for p workers: max((work + n·h) / p, span + h, n·d) + l, where n tasks cost h each on
their worker and d each in the driver, and l is the way there and back.  Without h, d and l it is
the bound of the work-span model.

*Break-even*: the length of a task from which remote is faster than local.  n tasks of length t
win on p workers once n·t exceeds both n·(t + h)/p + l and n·d + l, which is t = max((h + p·l/n) /
(p − 1), d + l/n).  One worker never wins.

*Amdahl's bound* (Amdahl, AFIPS 1967): with the time s in which only the driver could work, no
number of workers gives more than work / (s + work/p).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from paralab_profiling.paths import span_ns
from paralab_profiling.recording import Recording
from paralab_profiling.runs import Run, run_of
from paralab_profiling.scaling.costs import Costs, costs_of
from paralab_profiling.scaling.intervals import Interval, interval_of, ratios_of
from paralab_profiling.scaling.programs import programs_of
from paralab_profiling.scaling.replay import WORKERS, replays

NEAR = 0.9
"""A curve is flat from where it reaches this share of its highest point."""
Block = tuple[int, int]
"""The stamps at which a run began and ended, ns."""


@dataclass(frozen=True, slots=True)
class Model:
    """The measured figures that a prediction rests on; times in seconds.

    Attributes:
        tasks: how many calls.
        work: all calls one after the other, local.
        span: the longest chain of dependent tasks; of independent ones the longest task.
        on_worker: overhead of one task on its worker: handing over, loading, storing.
        in_driver: what the driver needs for one task, to submit it and to take in its result.
        latency: the way to a worker and back, once.
        serial: how long only the driver could work.
    """

    tasks: int
    work: float
    span: float
    on_worker: float
    in_driver: float
    latency: float
    serial: float

    def seconds(self, workers: int) -> float:
        """The predicted time on so many workers."""
        shared = (self.work + self.tasks * self.on_worker) / workers
        bounds = shared, self.span + self.on_worker, self.tasks * self.in_driver
        return max(bounds) + self.latency

    def break_even(self, workers: int) -> float | None:
        """The length of a task in seconds from which remote is faster; None for one worker."""
        if workers < 2 or not self.tasks:
            return None
        once = self.latency / self.tasks
        return max(
            (self.on_worker + workers * once) / (workers - 1),
            self.in_driver + once,
        )

    def amdahl(self, workers: float) -> float:
        """The most that so many workers could give."""
        return self.work / (self.serial + self.work / workers)

    @property
    def serial_share(self) -> float:
        """Of the time on one worker without overhead, 0 to 1."""
        return self.serial / (self.serial + self.work)

    @property
    def task(self) -> float:
        """The mean length of one call, local."""
        return self.work / self.tasks if self.tasks else 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured with one number of workers; times in seconds, a pair at each place.

    Attributes:
        workers: how many.
        local, remote: of each pair.
        gain: local ÷ remote.
        predicted: by the model.
        replayed: by the replay.
    """

    workers: int
    local: tuple[float, ...]
    remote: tuple[float, ...]
    gain: Interval
    predicted: float
    replayed: float

    @property
    def efficiency(self) -> float:
        """Speed-up ÷ workers."""
        return self.gain.middle / self.workers

    @property
    def replay_off(self) -> float:
        """How much longer the replay takes than the runs did: 0.03 is 3 % too long."""
        return self.replayed / median(self.remote) - 1

    @property
    def prediction_off(self) -> float:
        """The same of the prediction."""
        return self.predicted / median(self.remote) - 1


@dataclass(frozen=True)
class Size:
    """One size of the inputs.

    Attributes:
        size: what ``inputs`` was called with; None if it was no function.
        points: measured, by workers.
        model: of the run with most workers.
        curve: seconds of the replay, by workers.
        local_runs, remote_runs: the pairs with most workers, for the verdict.
    """

    size: int | None
    points: tuple[Point, ...]
    model: Model
    curve: Mapping[int, float]
    local_runs: tuple[Run, ...]
    remote_runs: tuple[Run, ...]

    @property
    def best(self) -> Point:
        """The point with most workers."""
        return self.points[-1]

    @property
    def local_seconds(self) -> float:
        """Median of the local runs."""
        return self.model.work

    def gains(self) -> dict[int, float]:
        """Replayed speed-up by workers."""
        return {workers: self.local_seconds / seconds for workers, seconds in self.curve.items()}

    @property
    def flat_from(self) -> int | None:
        """The number of workers that comes near the most there is to gain.

        None if it is the largest that was replayed.
        """
        return flat_from(self.gains())


def flat_from(gains: Mapping[int, float]) -> int | None:
    """From which number of workers on a curve is flat.

    Args:
        gains: speed-up by workers.

    Returns:
        The fewest workers that come near the most there is to gain; None if only the largest
        number does.
    """
    most = max(gains.values())
    near = min(workers for workers, gain in gains.items() if gain >= NEAR * most)
    return near if near < max(gains) else None


def size_of(
    recording: Recording,
    local: Sequence[float],
    blocks: Mapping[int, Sequence[Block]],
    tasks: int,
    *,
    size: int | None = None,
    driver_ns: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> Size:
    """The figures of one size of the inputs.

    Args:
        recording: holds the tasks of all remote runs.
        local: seconds of the local runs.
        blocks: of the remote runs by number of workers, in pairs with the local ones.
        tasks: how many calls each run made.
        size: what the inputs were made with.
        driver_ns: what the driver needs for one empty task, if that was measured; stamps show only
            a bound on it, which is far off where workers never had to wait for the driver.
        seed, confidence: see :func:`interval_of`.

    Raises:
        ValueError: ``recording`` no longer has the tasks of a run.
    """
    numbers = sorted(blocks)
    seconds = {at: [(end - begin) / 1e9 for begin, end in blocks[at]] for at in numbers}
    most = numbers[-1]
    ratios = ratios_of(local, seconds[most])
    typical = blocks[most][min(range(len(ratios)), key=lambda n: abs(ratios[n] - median(ratios)))]
    piece = replace(recording.between(*typical), workers=most)
    if sum(task.ran or task.failed for task in piece) < tasks:
        raise ValueError(
            f"of {tasks:,} tasks of a run the session remembers only {len(piece):,}:"
            " measure with fewer inputs."
        )
    costs = costs_of(piece)
    if driver_ns is not None:
        costs = replace(costs, owner=min(costs.owner, driver_ns))
    model = model_of(piece, typical, median(local), tasks, costs)
    asked = sorted({*WORKERS, *numbers})
    curve = {r.workers: r.seconds for r in replays(piece, asked, block_ns=typical, costs=costs)}
    points = tuple(
        Point(
            at,
            tuple(local),
            tuple(seconds[at]),
            interval_of(ratios_of(local, seconds[at]), seed=seed, confidence=confidence),
            model.seconds(at),
            curve[at],
        )
        for at in numbers
    )
    name = f"remote, {tasks:,} tasks"
    return Size(
        *(size, points, model, curve),
        tuple(Run("local", each, most) for each in local),
        tuple(run_of(name, recording, block, most) for block in blocks[most]),
    )


def model_of(
    recording: Recording, block: Block, work: float, tasks: int, costs: Costs | None = None
) -> Model:
    """The model of one remote run.

    Args:
        recording: of this run alone.
        block: when it began and ended.
        work: seconds of the local run.
        tasks: how many calls it made.
        costs: of handing over; by default what the recording shows.
    """
    known = costs_of(recording) if costs is None else costs
    ran = [task for task in recording if task.ran]
    drivers = [each for key, each in programs_of(recording, block).items() if key[1] is None]
    own = sum(program.own_ns for program in drivers)
    handing = [
        known.before(task.name, is_idle=False) + task.part_ns("unpickle") + task.part_ns("store")
        for task in ran
    ]
    return Model(
        tasks=tasks,
        work=work,
        span=span_ns(recording) / 1e9,
        on_worker=(median(handing) if handing else 0) / 1e9,
        in_driver=max(own / max(tasks, 1), known.owner if tasks > 1 else 0) / 1e9,
        latency=(known.start + known.result) / 1e9,
        serial=alone_ns(recording, block) / 1e9,
    )


def alone_ns(recording: Recording, block: Block) -> int:
    """How long within ``block`` only the driver could work.

    That is when no task was under way (sent, and not yet returned) and the driver did not stand
    still either, waiting for one.
    """
    begin, end = block
    ran = [task for task in recording if task.ran]
    busy = [(task.stamps["sent"], task.stamps["returned"]) for task in ran]
    times = sorted(task.stamps["returned"] for task in ran)
    for wait in recording.waits:
        last = bisect_right(times, wait.end) - 1
        if wait.parent is None and last >= 0:
            busy.append((wait.start, times[last]))
    alone, at = 0, begin
    for start, until in sorted(busy):
        alone += max(0, min(start, end) - at)
        at = max(at, min(until, end))
    return alone + max(0, end - at)
