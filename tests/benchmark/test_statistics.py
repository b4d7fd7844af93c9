"""Medians, paired ratios, goals and the plan of the runs: all pure."""

import pytest

from paralab.benchmark import rows, run
from paralab.benchmark.rows import ROWS, SIDES, SUBJECT, Goal, Row
from paralab.benchmark.statistics import (
    Sample,
    Series,
    count_goals,
    cpu_added,
    paired_ratio,
    row_report,
)


def series(*values: float | None, cpu: float | None = None) -> Series:
    return Series([None if value is None else Sample(value, 10, cpu) for value in values])


ROW = Row("task", "one task", "/s", (SUBJECT, "bare"), (Goal(0.5, "bare"), Goal(50)))


def test_the_ratio_is_taken_within_each_run() -> None:
    # The machine was ten times slower in the second run; the ratio is the same in all.
    assert paired_ratio(series(50, 5, 60), series(100, 10, 120)) == 0.5


def test_runs_that_failed_on_either_side_have_no_ratio() -> None:
    assert paired_ratio(series(50, None, 30), series(100, 10, None)) == 0.5
    assert paired_ratio(series(None), series(10)) is None
    assert paired_ratio(Series(), series(10)) is None


def test_cpu_added_needs_both_clocks() -> None:
    assert cpu_added(series(1, 1, cpu=70), series(1, 1, cpu=50)) == 20
    assert cpu_added(series(1, cpu=70), series(1)) is None


def test_row_report() -> None:
    report = row_report(
        ROW, {SUBJECT: series(60, 40, 50, cpu=9), "bare": series(80, 80, 80, cpu=5)}
    )
    subject = report["sides"][SUBJECT]
    assert (subject["median"], subject["low"], subject["high"]) == (50, 40, 60)
    assert subject["runs"] == [60, 40, 50]
    assert subject["of_bare"] == 0.625
    assert subject["cpu_us_added"] == 4
    assert [goal["met"] for goal in report["goals"]] == [True, True]
    assert [goal["value"] for goal in report["goals"]] == [0.625, 50]


def test_a_goal_is_not_measured_where_a_side_is_missing() -> None:
    report = row_report(ROW, {SUBJECT: series(40)})
    assert [goal["met"] for goal in report["goals"]] == [None, False]
    assert count_goals([report]) == (0, 1, 1)


def test_a_side_that_failed_keeps_its_error() -> None:
    report = row_report(ROW, {SUBJECT: Series([None], "not there: async actors")})
    assert report["sides"][SUBJECT]["median"] is None
    assert report["sides"][SUBJECT]["error"] == "not there: async actors"


@pytest.mark.parametrize(
    ("goal", "unit", "text"),
    [
        (Goal(50_000), "/s", "≥ 50,000/s"),
        (Goal(0.3, at_most=True), "ms", "≤ 0.3 ms"),
        (Goal(4, "grpc"), "/s", "≥ 4 × gRPC echo"),
    ],
)
def test_goals_as_text(goal: Goal, unit: str, text: str) -> None:
    assert goal.text(unit) == text


def test_goals_hold_at_their_bound() -> None:
    assert Goal(5).met(5)
    assert Goal(5, at_most=True).met(5)
    assert not Goal(5).met(4.9)
    assert not Goal(5, at_most=True).met(5.1)


def test_rows_name_sides_that_exist_and_include_the_subject() -> None:
    for row in ROWS:
        assert set(row.sides) <= set(SIDES)
        assert row.sides[0] == SUBJECT
        assert {goal.against for goal in row.goals} - {None} <= set(row.sides)


def test_find_rows() -> None:
    assert "actors_alive" not in {row.name for row in rows.find_rows(None, full=False)}
    assert "actors_alive" in {row.name for row in rows.find_rows(None, full=True)}
    chosen = rows.find_rows("task, put_small,task", full=False)
    assert [row.name for row in chosen] == ["task", "put_small"]
    with pytest.raises(ValueError, match="no row 'tsk'; rows are task, "):
        rows.find_rows("task,tsk", full=False)
    with pytest.raises(ValueError, match="no row ','"):
        rows.find_rows(",", full=False)


def test_sides_take_turns_and_slow_ones_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "absent", lambda row, side: None)
    chosen = rows.find_rows("actor_call,start,idle_memory", full=False)
    orders = [
        [(side.name, [row.name for row in its]) for side, its in run.plan(chosen, n, peers=True)]
        for n in range(2)
    ]
    assert orders[0][:2] == [(SUBJECT, ["actor_call"]), ("bare", ["actor_call"])]
    assert orders[1][:2] == [("bare", ["actor_call"]), (SUBJECT, ["actor_call"])]
    for order in orders:
        assert {name for name, _ in order[-2:]} == {"ray", "dask"}
        assert dict(order)["ray"] == ["idle_memory", "actor_call", "start"]


def test_no_peers() -> None:
    sides = {side.name for side, _ in run.plan(ROWS, 0, peers=False)}
    assert sides.isdisjoint({"loky", "ray", "dask"})


def test_a_folder_is_not_an_installed_module(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    Path(str(tmp_path), "some_runtime").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    side = rows.Side("x", "X", requires="some_runtime")
    assert run.absent(ROW, side) == "some_runtime is not installed"
