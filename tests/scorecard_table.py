"""The scorecard as a table: which row was measured, with what result, on what machine.

Reads the lines that the tests in ``scorecard/`` have left; see the conftest there.  A row without
a line was not measured, and says so.

Usage: python scorecard_table.py LINES.jsonl REPORT.json
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROWS: Mapping[str, str] = {
    "E1": "a million no-op tasks queued",
    "E2": "a task with 10,000 refs as arguments",
    "E3": "a task with 3,000 results",
    "E4": "10,000 refs in one get",
    "E5": "a large array: what a reader's own memory grows by",
    "E6": "twice the store's capacity; a full disk",
    "E7": "workers killed all the time, tasks with retries",
    "E8": "a ledger of actor calls while workers and actors are killed",
    "E9": "an owner dies",
    "E10": "any process killed, at rest and under load: until nothing is left",
    "E11": "start, work, SIGKILL, again and again: residue",
    "E12": "1,000 actors",
    "E13": "deep and wide blocking",
    "E14": "tasks that end in every wrong way",
    "E15": "what cannot be pickled",
    "E16": "a task that eats all memory",
    "E17": "fork, Pool, subprocess and threads inside tasks",
    "E18": "Ctrl-C at random moments",
    "E19": "a worker stopped and continued",
    "E20": "each message lost, doubled, delayed, cut",
    "E21": "simulated sessions",
    "E22": "finalisers, cycles, exit with work in flight",
    "S1": "who listens",
    "S2": "another user knocks",
    "S3": "where the token can be seen",
    "S4": "a pickle before the token",
    "S5": "length, count and time limits",
    "S6": "fuzzed frames",
    "S7": "hostile names in every representation",
    "S8": "hostile paths",
    "S9": "hostile archives",
    "S10": "what a cell shows",
}


class Figure(NamedTuple):
    """One measured value of a row."""

    row: str
    what: str
    value: float | str
    unit: str = ""
    peer: str = ""


def row_of(file: str) -> str:
    """``"E7"`` for ``test_e07_kills.py``.

    Raises:
        ValueError: no row is called so.
    """
    found = re.match(r"test_([es])(\d+)_", file)
    row = f"{found[1].upper()}{int(found[2])}" if found else ""
    if row not in ROWS:
        raise ValueError(f"{file} is not named after a row of the scorecard: test_e07_what.py.")
    return row


def report(lines: Iterable[str], machine: Mapping[str, Any]) -> dict[str, Any]:
    """All rows with their figures; a row has passed if each of its tests has."""
    rows: dict[str, dict[str, Any]] = {
        row: {"row": row, "title": title, "outcome": "not measured", "figures": []}
        for row, title in ROWS.items()
    }
    for line in lines:
        figure = json.loads(line)
        row = rows[figure.pop("row")]
        if row["outcome"] != "failed":
            row["outcome"] = figure["outcome"]
        if figure["value"] != "":
            row["figures"].append(figure)
    return {"machine": dict(machine), "rows": list(rows.values())}


def number(value: float | str) -> str:
    """Three significant digits, thousands separated; text as it is."""
    if isinstance(value, str):
        return value
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def text(report: Mapping[str, Any]) -> str:
    """The table for people."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['memory_gb']} GB",
        f"{machine['system']}, {machine['python']}",
        f"versions: {versions}",
        "",
    ]
    for row in report["rows"]:
        lines.append(f"{row['row']:<4}{row['outcome']:<13} {row['title']}")
        for figure in row["figures"]:
            size = "" if figure["full"] else " (small size)"
            peer = f"   [{figure['peer']}]" if figure["peer"] else ""
            value = f"{number(figure['value'])} {figure['unit']}".rstrip()
            lines.append(f"{'':<17} {figure['what']}{size}: {value}{peer}")
    passed = sum(row["outcome"] == "passed" for row in report["rows"])
    lines += ["", f"{passed} of {len(report['rows'])} rows passed"]
    return "\n".join(lines)


def main() -> int:
    """Writes the report as JSON, prints it as text; 1 if a row has not passed."""
    from paralab.benchmark import machine

    source, target = map(Path, sys.argv[1:3])
    lines = source.read_text(encoding="utf-8").splitlines() if source.exists() else []
    made = report(lines, machine.facts())
    target.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(text(made) + "\n")
    return int(any(row["outcome"] != "passed" for row in made["rows"]))


if __name__ == "__main__":
    sys.exit(main())
