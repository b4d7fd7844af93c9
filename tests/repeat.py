"""The process and fault tests again and again, in slices: ``make repeat TIMES=20``.

A test that fails once in a hundred runs is a bug, and one run does not show it.  All of these tests
twenty times take longer than a machine is left alone, so they run in *slices*, and each run of a
slice leaves one line in a log::

    start ──▶ the slice with the fewest good runs in a row ──▶ pytest -n 2 ──▶ one line ──┐
                ▲                                                                         │
                └── until each has passed TIMES in a row, or time is up ──────────────────┘

Started again, it goes on where the log ends, on another day too.  A failure sets its slice back to
nothing, and what it printed is kept beside the log.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
ROOT = TESTS.parent
RANGES = ("a-c", "d-e", "f-h", "i-m", "n-q", "r-s", "t-z")
"""Of the first letters of files: a new file changes one slice only."""
say = print
COUNTS = re.compile(r"(\d+) (passed|failed|errors?)\b")


def slices() -> dict[str, list[str]]:
    """The names of the slices, and their files, relative to the repository."""
    found: dict[str, list[str]] = {}
    for folder in ("process", "scorecard"):
        for path in sorted((TESTS / folder).glob("test_*.py")):
            letter = path.name.removeprefix("test_")[0]
            part = next((r for r in RANGES if r[0] <= letter <= r[-1]), RANGES[0])
            name = f"{folder} {part}" if folder == "process" else f"{folder} {path.name[5]}"
            found.setdefault(name, []).append(str(path.relative_to(ROOT)))
    faults = [*(TESTS / "transport").glob("test_*.py"), *(TESTS / "api").glob("test_fault*.py")]
    found["faults"] = sorted(str(path.relative_to(ROOT)) for path in faults)
    return found


def in_a_row(lines: Iterable[Mapping[str, Any]], name: str) -> int:
    """How often a slice has passed since it failed last."""
    count = 0
    for line in lines:
        if line["slice"] == name:
            count = count + 1 if line["passed"] and not line["failed"] else 0
    return count


def counted(said: str) -> tuple[int, int]:
    """How many tests passed, and how many did not, by what pytest said last."""
    last = said.strip().rsplit("\n", 1)[-1]
    numbers = {"passed": 0, "failed": 0}
    for number, what in COUNTS.findall(last):
        numbers["passed" if what == "passed" else "failed"] += int(number)
    return numbers["passed"], numbers["failed"]


def read(log: Path) -> list[dict[str, Any]]:
    """The lines of the log so far; a last one that was cut off does not count."""
    lines = []
    if log.exists():
        for text in log.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue
    return lines


def run(name: str, files: Sequence[str], log: Path) -> dict[str, Any]:
    """Runs a slice once; returns the line that it leaves in the log."""
    began, load = time.time(), os.getloadavg()[0]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *files]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    passed, failed = counted(done.stdout)
    if done.returncode and not failed:
        failed = 1  # it did not come to its last line
    line = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(began)),
        "commit": _commit(),
        "slice": name,
        "passed": passed,
        "failed": failed,
        "seconds": round(time.time() - began),
        "load": round(load, 1),
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    if failed:
        kept = log.with_name(f"{log.stem}-{name.replace(' ', '-')}-{int(began)}.txt")
        kept.write_text(done.stdout, encoding="utf-8")
        line["output"] = kept.name
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return line


def _commit() -> str:
    def git(*what: str) -> str:
        command = ["git", "-C", str(ROOT), *what]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short", "HEAD") + "+changes" * bool(changed)


def main() -> int:
    """Runs what is lacking; 0 once every slice has passed often enough in a row."""
    parser = argparse.ArgumentParser(prog="python tests/repeat.py", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="how often in a row (20)")
    parser.add_argument("--log", type=Path, default=ROOT / "build" / "repeat.jsonl")
    parser.add_argument("--hours", type=float, default=1e9, help="begin nothing after so long")
    parser.add_argument("--slice", action="append", help="only this one; may be given again")
    options = parser.parse_args()
    known = slices()
    for name in options.slice or ():
        if name not in known:
            parser.error(f"there is no slice {name!r}; there are: {', '.join(known)}")
    wanted = options.slice or list(known)
    until = time.monotonic() + options.hours * 3_600
    lines = read(options.log)
    while time.monotonic() < until:
        runs = {name: in_a_row(lines, name) for name in wanted}
        name = min(runs, key=lambda each: runs[each])
        if runs[name] >= options.times:
            break
        line = run(name, known[name], options.log)
        lines.append(line)
        say(" ".join(f"{key}={value}" for key, value in line.items()), flush=True)
    good = True
    for name in wanted:
        runs_of = [line for line in lines if line["slice"] == name]
        count = in_a_row(lines, name)
        good = good and count >= options.times
        commits = len({line["commit"] for line in runs_of[len(runs_of) - count :]})
        say(f"{name:14} {count:3} of {options.times} in a row, on {commits} commits")
    return not good


if __name__ == "__main__":
    sys.exit(main())
