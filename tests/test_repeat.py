"""``make repeat``: every file is in one slice, and only good runs in a row count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import repeat


def line(name: str, failed: int, passed: int = 3) -> dict[str, Any]:
    return {"slice": name, "passed": passed, "failed": failed}


def test_every_file_is_in_one_slice() -> None:
    found = [file for files in repeat.slices().values() for file in files]
    assert len(found) == len(set(found))
    for folder in ("process", "scorecard", "transport"):
        for path in (repeat.TESTS / folder).glob("test_*.py"):
            assert str(path.relative_to(repeat.ROOT)) in found


def test_a_failure_and_a_run_of_nothing_begin_anew() -> None:
    lines = [line("a", 0), line("a", 1), line("a", 0), line("b", 2), line("a", 0)]
    assert repeat.in_a_row(lines, "a") == 2
    assert repeat.in_a_row(lines, "b") == 0
    assert repeat.in_a_row([*lines, line("a", 0, passed=0)], "a") == 0


def test_counts_are_those_of_the_last_line() -> None:
    said = "E  2 failed\n..F\n1 failed, 4 passed, 2 skipped, 1 error in 3.20s\n"
    assert repeat.counted(said) == (4, 2)
    assert repeat.counted("Killed") == (0, 0)


def test_a_line_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert repeat.read(log) == []
    log.write_text('{"slice": "a"}\n{"sli')
    assert repeat.read(log) == [{"slice": "a"}]
