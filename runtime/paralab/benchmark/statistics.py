"""From samples to a report: medians, spreads, ratios, verdicts.  Pure.

A ratio of two sides is the median of the ratios of each run, not the ratio of two medians:
the machine's speed drifts between runs, and within one run both sides have the same of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from paralab.benchmark.rows import BARE, SUBJECT, Row

SCHEMA = 1
"""Version of the JSON report; goes up when a field changes its meaning."""


@dataclass(frozen=True)
class Sample:
    """What one side measured of one row in one run."""

    value: float
    """In the row's unit."""
    calls: int
    """Operations that the value was taken over."""
    cpu_us: float | None = None
    """CPU time (user + system, driver + worker) of one operation, microseconds."""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Series:
    """One side's samples of one row, one per run in order; None where a run failed."""

    samples: list[Sample | None] = field(default_factory=list)
    error: str | None = None
    """The last failure, or why nothing was measured."""

    def values(self) -> list[float]:
        """The values of the runs that worked."""
        return [sample.value for sample in self.samples if sample is not None]


def paired_ratio(over: Series, under: Series) -> float | None:
    """Median over the runs of ``over`` ÷ ``under``; None where no run has both."""
    ratios = [
        a.value / b.value
        for a, b in zip(over.samples, under.samples, strict=False)
        if a is not None and b is not None and b.value
    ]
    return median(ratios) if ratios else None


def cpu_added(series: Series, bare: Series) -> float | None:
    """Median over the runs of the CPU µs that one operation costs more than bare's."""
    added = [
        a.cpu_us - b.cpu_us
        for a, b in zip(series.samples, bare.samples, strict=False)
        if a is not None and b is not None and a.cpu_us is not None and b.cpu_us is not None
    ]
    return median(added) if added else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _side_report(series: Series, bare: Series | None) -> dict[str, Any]:
    values = series.values()
    cpu = [s.cpu_us for s in series.samples if s is not None and s.cpu_us is not None]
    done = [sample for sample in series.samples if sample is not None]
    return {
        "median": _rounded(median(values)) if values else None,
        "low": _rounded(min(values)) if values else None,
        "high": _rounded(max(values)) if values else None,
        "runs": [None if s is None else _rounded(s.value) for s in series.samples],
        "calls": done[-1].calls if done else 0,
        "of_bare": _rounded(paired_ratio(series, bare)) if bare else None,
        "cpu_us": _rounded(median(cpu)) if cpu else None,
        "cpu_us_added": _rounded(cpu_added(series, bare)) if bare else None,
        "detail": dict(done[-1].detail) if done else {},
        "error": series.error,
    }


def row_report(row: Row, measured: Mapping[str, Series]) -> dict[str, Any]:
    """One row as it goes into the JSON report and the table.

    Args:
        row: the row.
        measured: the series of each side, the subject's among them or not.

    Returns:
        ``name``, ``title``, ``unit``; per side ``median``, ``low``, ``high``, ``runs``,
        ``calls``, ``of_bare``, ``cpu_us``, ``cpu_us_added``, ``detail``, ``error``; and
        ``goals``, each with ``text``, ``value`` and ``met`` (None where it was not measured).
    """
    bare = measured.get(BARE)
    subject = measured.get(SUBJECT, Series())
    goals: list[dict[str, Any]] = []
    for goal in row.goals:
        if goal.against is None:
            values = subject.values()
            value = median(values) if values else None
        else:
            value = paired_ratio(subject, measured.get(goal.against, Series()))
        goals.append(
            {
                "text": goal.text(row.unit),
                "value": _rounded(value),
                "met": None if value is None else goal.met(value),
            }
        )
    return {
        "name": row.name,
        "title": row.title,
        "unit": row.unit,
        "pinned": row.pinned,
        "sides": {name: _side_report(series, bare) for name, series in measured.items()},
        "goals": goals,
    }


def count_goals(reports: Sequence[Mapping[str, Any]]) -> tuple[int, int, int]:
    """How many goals were met, fell short, and were not measured."""
    verdicts = [goal["met"] for report in reports for goal in report["goals"]]
    return verdicts.count(True), verdicts.count(False), verdicts.count(None)
