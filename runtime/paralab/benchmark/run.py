"""Runs the rows: for each run, each row, each side in turn, in a fresh interpreter.

The order of the sides rotates from run to run, so that none always has the warm or the noisy
place.  Sides that take seconds to start (Ray, Dask) measure all their rows in one interpreter
per run, at its end, because their background work would disturb the others.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paralab.benchmark import api, machine
from paralab.benchmark.rows import SIDES, Row, Side
from paralab.benchmark.statistics import SCHEMA, Sample, Series, count_goals, row_report

_GRACE = 3.0
"""Seconds that a side's processes have to end by themselves after their driver."""


@dataclass(frozen=True)
class Settings:
    """What to measure."""

    rows: tuple[Row, ...]
    runs: int = 5
    quick: bool = False
    peers: bool = True
    seconds_per_row: float = 60.0
    """After this long a side counts as hung: per row, ten times as long for slow sides."""


@dataclass
class Results:
    """Everything measured so far."""

    series: dict[str, dict[str, Series]] = field(default_factory=dict)
    """Row name → side name → series."""
    left_behind: dict[str, int] = field(default_factory=dict)
    """Side name → processes that had to be killed after it had ended."""


def _installed(module: str) -> bool:
    # A folder of that name in the working directory is found too, but has no origin.
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def absent(row: Row, side: Side) -> str | None:
    """Why ``side`` cannot measure ``row`` here, or None."""
    if row.arrays and not _installed("numpy"):
        return "needs NumPy"
    if side.requires is not None and not _installed(side.requires):
        return f"{side.requires} is not installed"
    return None


def plan(rows: Sequence[Row], number: int, *, peers: bool) -> Iterator[tuple[Side, list[Row]]]:
    """The interpreters of run ``number``, in order: a side and the rows that it measures."""
    slow: dict[str, list[Row]] = {}
    for row in rows:
        sides = [SIDES[name] for name in row.sides if peers or not SIDES[name].peer]
        shift = number % len(sides)
        for side in sides[shift:] + sides[:shift]:
            if absent(row, side) is not None:
                continue
            if side.slow:
                slow.setdefault(side.name, []).append(row)
            else:
                yield side, [row]
    for name, its_rows in slow.items():
        # Memory first: later rows start more workers, which would count as idle.
        yield SIDES[name], sorted(its_rows, key=lambda row: row.name != "idle_memory")


def measure_side(side: Side, rows: Sequence[Row], settings: Settings) -> tuple[list[Any], int]:
    """Measures ``rows`` on ``side`` in a fresh interpreter and ends all its processes.

    Returns:
        One dict per row, as ``side`` writes them, with an ``error`` for rows that the
        interpreter did not come to; and how many processes had to be killed after it.
    """
    mark = uuid.uuid4().hex
    seconds = settings.seconds_per_row * len(rows) * (10 if side.slow else 1)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        output, log = Path(folder, "results"), Path(folder, "log")
        output.touch()
        command = [sys.executable, "-P", "-m", "paralab.benchmark.side", side.name]
        command += [",".join(row.name for row in rows), "quick" if settings.quick else "full"]
        # Ray keeps its logs and sockets where RAY_TMPDIR says.
        environment = {**os.environ, machine.MARK: mark, "RAY_TMPDIR": folder}
        if side.name == "events_off":
            environment["PARALAB_EVENTS"] = "0"
        with log.open("wb") as errors:
            child = subprocess.Popen(
                [*command, str(output)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        grace = 0.0
        try:
            child.wait(seconds)
            ending = f"ended with exit code {child.returncode}"
            grace = _GRACE
        except subprocess.TimeoutExpired:
            ending = f"hung for {seconds:.0f} s"
            child.kill()
        finally:
            # An interrupt comes here with the child alive: its processes are killed at once.
            killed = machine.end_marked(mark, grace)
            child.wait()
        results = [json.loads(line) for line in output.read_text().splitlines()]
        done = {result["row"] for result in results}
        tail = api.last_line(log.read_text(errors="replace"))
    missing = [row.name for row in rows if row.name not in done]
    results += [{"row": name, "error": f"{ending}: {tail}"} for name in missing]
    return results, killed if grace else 0


def _record(results: Results, side: Side, measured: Sequence[Mapping[str, Any]]) -> None:
    for result in measured:
        series = results.series[result["row"]][side.name]
        if "error" in result:
            series.samples.append(None)
            series.error = result["error"]
        else:
            values = {key: value for key, value in result.items() if key != "row"}
            series.samples.append(Sample(**values))


def run(settings: Settings, progress: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Measures everything; returns the report that ``--json`` writes.

    Args:
        settings: what to measure.
        progress: is told, in a few words, what is measured next.

    Returns:
        ``schema``, ``machine``, ``settings``, ``rows`` (see ``statistics.row_report``),
        ``left_behind`` and ``goals`` with the counts ``met``, ``short`` and ``not_measured``.
    """
    results = Results()
    for row in settings.rows:
        sides = [SIDES[name] for name in row.sides if settings.peers or not SIDES[name].peer]
        results.series[row.name] = {side.name: Series(error=absent(row, side)) for side in sides}
    before = machine.facts()
    for number in range(settings.runs):
        for side, rows in plan(settings.rows, number, peers=settings.peers):
            title = rows[0].title if len(rows) == 1 else f"{len(rows)} rows"
            progress(f"run {number + 1} of {settings.runs} · {side.title} · {title}")
            measured, killed = measure_side(side, rows, settings)
            _record(results, side, measured)
            if killed:
                results.left_behind[side.name] = results.left_behind.get(side.name, 0) + killed
    reports = [row_report(row, results.series[row.name]) for row in settings.rows]
    met, short, not_measured = count_goals(reports)
    return {
        "schema": SCHEMA,
        "machine": {**before, "load_after": machine.facts()["load"]},
        "settings": {"runs": settings.runs, "quick": settings.quick, "peers": settings.peers},
        "rows": reports,
        "left_behind": results.left_behind,
        "goals": {"met": met, "short": short, "not_measured": not_measured},
    }
