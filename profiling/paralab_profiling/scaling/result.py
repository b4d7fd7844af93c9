"""What :func:`paralab_profiling.scaling.model` gives: figures, the verdict, the curve."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from textwrap import wrap
from typing import Any

from paralab_profiling.picture import Picture, save_result
from paralab_profiling.scaling.drawing import draw_by_size, draw_curve
from paralab_profiling.scaling.intervals import Interval
from paralab_profiling.scaling.model import Point, Size
from paralab_profiling.svg import duration, percent, three_digits
from paralab_profiling.timelines.compare import gain_in_words, verdict

SAME = 0.0005
"""Share of a time that is no difference."""


@dataclass(frozen=True, repr=False)
class Speedup:
    """Calls of one function, local against remote.

    Attributes:
        name: of the function.
        sizes: the figures of each size of the inputs, in the order asked for.
        cpus: of the session.
    """

    name: str
    sizes: tuple[Size, ...]
    cpus: int

    @property
    def gain(self) -> Interval:
        """The speed-up of the last size on the most workers."""
        return self.sizes[-1].best.gain

    @property
    def title(self) -> str:
        """The finding."""
        size = self.sizes[-1]
        workers = size.best.workers
        found = f"{gain_in_words(size.best.gain)} on {_workers(workers)}"
        return f"{found}; {_beyond(size)}"

    def verdict(self, at: int = -1) -> Picture:
        """Local and remote on one axis, and where the missing time went.

        Args:
            at: which of :attr:`sizes`.
        """
        size = self.sizes[at]
        return verdict(size.local_runs, size.remote_runs)

    def curve(self, at: int = -1) -> Picture:
        """Speed-up against workers: measured, replayed and bounds.

        Args:
            at: which of :attr:`sizes`.
        """
        size = self.sizes[at]
        found = f"{gain_in_words(size.best.gain)} on {_workers(size.best.workers)}"
        title = f"{found}; {_beyond(size)}"
        return draw_curve(self.name, size, title, _text(self.name, size, title))

    def by_size(self) -> Picture:
        """Speed-up against the size of the inputs.

        Raises:
            ValueError: there is one size only.
        """
        if len(self.sizes) < 2:
            raise ValueError("by_size() needs two sizes at least: speedup(..., sizes=[...])")
        return draw_by_size(self.name, self.sizes)

    def pictures(self) -> list[Picture]:
        """All of them."""
        more = [self.by_size()] if len(self.sizes) > 1 else []
        return [self.verdict(), self.curve(), *more]

    def __repr__(self) -> str:
        parts = [_text(self.name, self.sizes[-1], self.title)]
        if len(self.sizes) > 1:
            parts.append(self.by_size().text)
        return "\n".join(parts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        html = "".join(picture.to_html() for picture in self.pictures())
        return {"text/plain": repr(self), "text/html": html}

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data; times in seconds."""
        return {
            "function": self.name,
            "title": self.title,
            "cpus": self.cpus,
            "sizes": [_as_dict(size) for size in self.sizes],
        }

    def save(self, path: str | Path) -> Path:
        """Writes figures (``.json``), a page (``.html``) or the curve (``.svg``).

        Raises:
            ValueError: another ending.
            OSError: the file cannot be written.
        """
        return save_result(path, self.to_dict(), [self.curve(), self.verdict()])


def _workers(count: int) -> str:
    return f"{count} worker{'s' if count > 1 else ''}"


def _beyond(size: Size) -> str:
    """What more workers would bring."""
    gains = size.gains()
    most = max(gains.values())
    if most < 1.05:
        return "no number of workers would pay"
    if size.flat_from is None:
        return f"it would still grow at {max(gains)}"
    if size.flat_from <= size.best.workers:
        return "more workers would hardly help"
    return f"it would flatten near {size.flat_from}"


def _text(name: str, size: Size, title: str) -> str:
    model, best = size.model, size.best
    of_size = "" if size.size is None else f", size {size.size:,}"
    calls = f"{model.tasks:,} calls of {duration(model.task)}"
    lines = [
        title,
        f"{name}: {calls}{of_size}, local {duration(model.work)}",
        best.gain.evidence,
        "",
        f"{'workers':>7}  {'measured':<22} {'efficiency':>10}  {'predicted':>10}  {'replayed':>10}",
    ]
    points = {point.workers: point for point in size.points}
    for workers, gain in size.gains().items():
        point = points.get(workers)
        measured = "" if point is None else str(point.gain)
        efficiency = "" if point is None else percent(point.efficiency)
        predicted = three_digits(model.work / model.seconds(workers))
        lines.append(
            f"{workers:>7}  {measured:<22} {efficiency:>10}  {predicted:>10}  "
            f"{three_digits(gain):>10}"
        )
    facts = (line for fact in facts_of(size) for line in wrap(fact, 80))
    return "\n".join([*lines, "", *facts])


def facts_of(size: Size) -> list[str]:
    """What the prediction rests on, and how good it was, in sentences."""
    model, best = size.model, size.best
    worker, driver = duration(model.on_worker), duration(model.in_driver)
    lines = [f"A task costs {worker} on its worker besides the function, {driver} in the driver."]
    workers = max(2, best.workers)
    even = model.break_even(workers)
    if even is not None:
        there = "they take" if model.tasks > 1 else "it takes"
        lines.append(
            f"Break-even on {workers} workers: tasks of {duration(even)};"
            f" {there} {duration(model.task)}."
        )
    lines.append(
        f"Serial: {percent(model.serial_share)} ({duration(model.serial)}): Amdahl allows"
        f" {three_digits(model.amdahl(64))} on 64 workers."
    )
    if model.span:
        most = three_digits(model.work / model.span)
        lines.append(f"Critical path {duration(model.span)}: {most} with any number of workers.")
    offs = ", ".join(f"{_off(each.replay_off)} at {each.workers}" for each in size.points)
    lines.append(f"The replay's time against the measured: {offs}.")
    return lines


def _off(share: float) -> str:
    if abs(share) < SAME:
        return "the same"
    return f"{percent(abs(share))} {'more' if share > 0 else 'less'}"


def _as_dict(size: Size) -> dict[str, Any]:
    model = size.model
    return {
        "size": size.size,
        "tasks": model.tasks,
        "local_seconds": model.work,
        "points": [_point(each) for each in size.points],
        "replayed_speedup": {str(at): gain for at, gain in size.gains().items()},
        "flat_from": size.flat_from,
        "break_even_seconds": model.break_even(max(2, size.best.workers)),
        "overhead_on_worker_seconds": model.on_worker,
        "overhead_in_driver_seconds": model.in_driver,
        "span_seconds": model.span,
        "serial_share": model.serial_share,
    }


def _point(point: Point) -> dict[str, Any]:
    gain = point.gain
    return {
        "workers": point.workers,
        "local_seconds": list(point.local),
        "remote_seconds": list(point.remote),
        "median_remote_seconds": median(point.remote),
        "speedup": gain.middle,
        "interval": [gain.low, gain.high],
        "confidence": gain.confidence,
        "pairs": gain.count,
        "efficiency": point.efficiency,
        "predicted_seconds": point.predicted,
        "replayed_seconds": point.replayed,
    }
