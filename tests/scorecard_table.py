"""The scorecard as a table: which row was measured, with what result, on what machine.

Reads the lines that the tests in ``scorecard/`` have left; see the conftest there.  A row without
a line was not measured, and says so.  With a third file, the table of README.md is written anew
there, if each row was measured in full size; it has what the tests call ``short``.

Usage: python scorecard_table.py LINES.jsonl REPORT.json [README.md]
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
    "E5": "`get` of a large array: growth of the reader's own memory",
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
    "E17": "fork, pools, programs and threads inside tasks",
    "E18": "Ctrl-C at random moments",
    "E19": "a worker stopped and continued",
    "E20": "each message lost, doubled, delayed, cut",
    "E21": "simulated sessions",
    "E22": "finalisers, cycles, the program's end",
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
    short: str = ""


BEGIN, END = "<!-- written by `make scorecard` -->", "<!-- end of the scorecard -->"
"""Between them stands the table of README.md."""
OUTCOMES = ("not measured", "skipped", "passed", "failed")


def worst(*outcomes: str) -> str:
    """How a row has ended: by one failure failed, else passed if anything was measured."""
    return max(outcomes, key=OUTCOMES.index)


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
        row["outcome"] = worst(row["outcome"], figure["outcome"])
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


def in_short(figures: Iterable[Mapping[str, Any]]) -> str:
    """What README.md says of a row: for each ``short`` the largest figure, texts one by one."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for figure in figures:
        if figure["short"]:
            found.setdefault(figure["short"], []).append(figure)
    said = []
    for short, of_it in found.items():
        values = [figure["value"] for figure in of_it]
        if any(isinstance(value, str) for value in values):
            shown = ", ".join(dict.fromkeys(map(str, values)))
        else:
            unit = of_it[0]["unit"]
            shown = number(max(values)) + (" " * (unit[:1] not in ("/", "")) + unit)
        said.append(short.replace("{}", shown))
    return "; ".join(said)


def markdown(report: Mapping[str, Any]) -> str:
    """The table of README.md, with the machine on which it was measured."""
    machine = report["machine"]
    where = (
        f"On {machine['processor']}, {machine['cpus']} CPUs, {machine['memory_gb']} GB "
        f"({machine['system']}, {machine['python']}), of each kind the largest figure; what is "
        "said of others is their documented or measured behaviour."
    )
    lines = [
        where,
        "",
        "| | experiment or attack | figure | elsewhere |",
        "|---|---|---|---|",
    ]
    for row in report["rows"]:
        peers = "; ".join(dict.fromkeys(f["peer"] for f in row["figures"] if f["peer"]))
        said = in_short(row["figures"])
        if row["outcome"] != "passed":
            said = f"**{row['outcome']}**; {said}".rstrip("; ")
        cells = [row["row"], row["title"], said, peers]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def lacking(report: Mapping[str, Any]) -> list[str]:
    """The rows that were not measured in full size."""
    return [
        row["row"]
        for row in report["rows"]
        if not row["figures"] or not all(figure["full"] for figure in row["figures"])
    ]


def with_table(readme: str, table: str) -> str:
    """A README with another table.

    Raises:
        ValueError: it has no place for one.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"There is no place for the table, from {BEGIN} to {END}.")
    return f"{before}{begin}\n{table}\n{end}{after}"


def main() -> int:
    """Writes the report as JSON, prints it as text; 1 if a row has not passed."""
    from paralab.benchmark import machine

    source, target, *readme = map(Path, sys.argv[1:4])
    lines = source.read_text(encoding="utf-8").splitlines() if source.exists() else []
    made = report(lines, machine.facts())
    target.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(text(made) + "\n")
    for path in readme:
        if rows := lacking(made):
            said = f"{path.name} stays as it was: not measured in full size: {', '.join(rows)}"
        else:
            table = with_table(path.read_text(encoding="utf-8"), markdown(made))
            path.write_text(table, encoding="utf-8")
            said = f"{path.name} has the table of this run"
        sys.stdout.write(said + "\n")
    return int(any(row["outcome"] != "passed" for row in made["rows"]))


if __name__ == "__main__":
    sys.exit(main())
