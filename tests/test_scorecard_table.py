"""The table of the scorecard, from the lines that its tests leave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scorecard_table import ROWS, Figure, number, report, row_of, text

MACHINE = {
    "processor": "a CPU",
    "cpus": 2,
    "memory_gb": 24,
    "system": "Linux",
    "python": "CPython 3.11",
    "versions": {"paralab": "0"},
}


def line(figure: Figure, outcome: str = "passed") -> str:
    return json.dumps({**figure._asdict(), "outcome": outcome, "full": False})


def row(made: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in made["rows"] if row["row"] == name)


def test_every_experiment_and_attack_is_a_row_measured_or_not() -> None:
    made = report([line(Figure("E7", "kills", 1.25, "x", "Ray: unfinished"))], MACHINE)
    assert [row["row"] for row in made["rows"]] == list(ROWS)
    assert row(made, "E7")["outcome"] == "passed"
    assert row(made, "E8")["outcome"] == "not measured"
    assert "kills (small size): 1.25 x   [Ray: unfinished]" in text(made)
    assert text(made).endswith(f"1 of {len(ROWS)} rows passed")


def test_a_row_has_failed_if_one_of_its_tests_has() -> None:
    figures = [
        line(Figure("E2", "first", 1.0)),
        line(Figure("E2", "test_second", ""), "failed"),
        line(Figure("E2", "third", 2.0)),
    ]
    made = report(figures, MACHINE)
    assert row(made, "E2")["outcome"] == "failed"
    assert [figure["what"] for figure in row(made, "E2")["figures"]] == ["first", "third"]


def test_a_file_is_named_after_its_row() -> None:
    assert row_of("test_e07_kills.py") == "E7"
    assert row_of("test_s10_cells.py") == "S10"
    for name in ("test_e99_more.py", "test_kills.py"):
        with pytest.raises(ValueError, match="is not named after a row"):
            row_of(name)


def test_numbers_have_three_digits() -> None:
    assert [number(v) for v in (0.12345, 12.0, 123_456, "none")] == [
        "0.123",
        "12",
        "123,000",
        "none",
    ]
