"""The table of the scorecard, from the lines that its tests leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import scorecard_table
from scorecard_table import (
    BEGIN,
    END,
    ROWS,
    Figure,
    in_short,
    markdown,
    number,
    report,
    row_of,
    text,
    with_table,
)

MACHINE = {
    "processor": "a CPU",
    "cpus": 2,
    "memory_gb": 24,
    "system": "Linux",
    "python": "CPython 3.11",
    "versions": {"paralab": "0"},
}


def line(figure: Figure, outcome: str = "passed", full: bool = False) -> str:
    return json.dumps({**figure._asdict(), "outcome": outcome, "full": full})


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


def test_a_test_that_was_skipped_does_not_hide_that_others_passed() -> None:
    figures = [line(Figure("S2", "one", 0)), line(Figure("S2", "two", ""), "skipped")]
    for lines in (figures, figures[::-1]):
        assert row(report(lines, MACHINE), "S2")["outcome"] == "passed"
    assert row(report(figures[1:], MACHINE), "S2")["outcome"] == "skipped"


def test_in_short_the_largest_of_each_kind() -> None:
    figures = [
        Figure("E9", "of a task", 0.041, "s", short="after {}"),
        Figure("E9", "of an actor", 0.0523, "s", short="after {}"),
        Figure("E9", "memory", 5, "MiB"),
        Figure("E9", "rate", 31_333, "/s", short="at {}"),
        Figure("E9", "error", "ObjectStoreFullError", short="then {}"),
        Figure("E9", "left", 0, short="{} left"),
        Figure("E9", "moments", 3.5, "s", short="nothing lost"),
    ]
    said = in_short(json.loads(line(figure)) for figure in figures)
    assert said == "after 0.0523 s; at 31,300/s; then ObjectStoreFullError; 0 left; nothing lost"


def test_the_readmes_table_has_every_row_with_its_peers() -> None:
    lines = [
        line(Figure("E7", "kills", 0.97, "x", "Ray: unfinished", "in {}")),
        line(Figure("E7", "more", 1, "x", "Ray: unfinished", "in {}")),
        line(Figure("E8", "a|b", 1, "", "", "{} of a|b"), "failed"),
    ]
    table = markdown(report(lines, MACHINE)).splitlines()
    assert table[0].startswith("On a CPU, 2 CPUs, 24 GB (Linux, CPython 3.11), ")
    rows = table[4:]
    assert [each.split(" | ")[0].strip("| ") for each in rows] == list(ROWS)
    assert f"| E7 | {ROWS['E7']} | in 1 x | Ray: unfinished |" in rows
    assert f"| E8 | {ROWS['E8']} | **failed**; 1 of a\\|b |  |" in rows
    assert f"| E9 | {ROWS['E9']} | **not measured** |  |" in rows


def test_a_table_takes_the_place_of_the_last_one() -> None:
    readme = with_table(f"one\n{BEGIN}\nold\n{END}\ntwo\n", "new")
    assert readme == f"one\n{BEGIN}\nnew\n{END}\ntwo\n"
    assert with_table(readme, "new") == readme
    for lacks in ("", BEGIN, END):
        with pytest.raises(ValueError, match="no place for the table"):
            with_table(lacks, "new")


def test_the_readme_changes_only_for_a_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / name for name in ("lines.jsonl", "report.json", "README.md")]
    monkeypatch.setattr("sys.argv", ["scorecard_table.py", *map(str, paths)])
    lines = [line(Figure(name, "what", 1, "s", short="{}"), full=True) for name in ROWS]
    before = f"{BEGIN}\n{END}\n"
    paths[2].write_text(before)
    for partly in (lines[1:], [*lines[1:], line(Figure("E1", "what", 1))]):
        paths[0].write_text("\n".join(partly))
        scorecard_table.main()
        assert (
            "README.md stays as it was: not measured in full size: E1\n" in capsys.readouterr().out
        )
        assert paths[2].read_text() == before
    paths[0].write_text("\n".join(lines))
    assert scorecard_table.main() == 0
    assert paths[2].read_text().count("| 1 s |") == len(ROWS)
    assert "README.md has the table of this run" in capsys.readouterr().out


def test_every_row_says_something_in_the_readme() -> None:
    here = Path(__file__).parent
    said = {
        row_of(path.name)
        for path in (here / "scorecard").glob("test_*.py")
        if "short=" in path.read_text(encoding="utf-8")
    }
    assert said == set(ROWS)
    readme = (here.parent / "README.md").read_text(encoding="utf-8")
    table = readme.partition(BEGIN)[2].partition(END)[0]
    found = [each.split("|")[1].strip() for each in table.splitlines() if each.startswith("| ")]
    assert [each for each in found if each] == list(ROWS)


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
