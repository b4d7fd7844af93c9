"""The baselines run at tiny sizes and end their processes; failures stay where they are."""

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from paralab.benchmark import callers, libraries, measure, rows, run, side
from paralab.benchmark.libraries import OPENS, library_row
from paralab.benchmark.rows import QUICK, SIDES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets fresh interpreters import this very paralab, installed or not."""
    root = Path(callers.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root), prepend=os.pathsep)


OF_SKLEARN = ("search", "forest")
QUICKLY = run.Settings(rows.ROWS, runs=1, quick=True)


def measured(side_name: str, *names: str) -> list[dict[str, Any]]:
    """The results of ``names`` on one side, whose processes have all ended by themselves."""
    chosen = rows.find_rows(",".join(names), full=True)
    results, killed = run.measure_side(SIDES[side_name], chosen, QUICKLY)
    assert killed == 0
    return results


@pytest.mark.parametrize("name", ["bare", "pool", "executor", "grpc", "loky"])
def test_a_baseline(name: str) -> None:
    if run.absent(rows.ROWS[0], SIDES[name]) is not None:
        pytest.skip(f"{name} is not installed")
    names = ["task"] if name == "grpc" else ["task", "tasks_in_flight"]
    for result in measured(name, *names):
        assert "error" not in result, result
        assert result["value"] > 0
        assert result["cpu_us"] > 0
        assert result["calls"] > 0


@pytest.mark.slow
@pytest.mark.timeout(300)  # five interpreters, some with large libraries
@pytest.mark.parametrize("name", ["pool", "executor", "joblib", "dask_processes", "dask_threads"])
def test_libraries_and_what_stands_in_for_them(name: str) -> None:
    if run.absent(rows.ROWS[0], SIDES[name]) is not None:
        pytest.skip(f"{SIDES[name].requires} is not installed")
    pytest.importorskip("numpy")
    beside = [row.name for row in rows.ROWS if row.name in OPENS and name in row.sides]
    beside = [row for row in beside if row not in OF_SKLEARN]
    assert beside
    for side_name in (rows.SUBJECT, name):
        for result in measured(side_name, *beside):
            assert "error" not in result, result
            assert result["value"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("row", OF_SKLEARN)
def test_what_scikit_learn_is_measured_with(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, one by one: in workers it would be imported by each, which takes seconds."""
    pytest.importorskip("sklearn")
    monkeypatch.setattr(libraries, "_joblib", lambda _side: nullcontext())
    sample = library_row(row, rows.Sizes(0, 3_200, 1, 1, 1, 1, 1), rows.SUBJECT)
    assert sample.value > 0
    assert sample.calls == 3_200 // OPENS[row].slow_down


def test_each_library_has_a_row_and_another_side() -> None:
    of_libraries = {row.name: row.sides for row in rows.ROWS if row.name in OPENS}
    assert set(of_libraries) == set(OPENS)
    assert all(sides[0] == rows.SUBJECT and len(sides) > 1 for sides in of_libraries.values())


def test_a_library_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("datasets", "ensemble", "model_selection"):
        monkeypatch.setitem(sys.modules, f"sklearn.{name}", None)
    for row in OF_SKLEARN:
        with pytest.raises(NotImplementedError, match=r"sklearn.* is not installed"):
            library_row(row, QUICK, "joblib")


def test_units_are_those_of_the_row() -> None:
    sizes = rows.Sizes(0, 2_000, 160_000_000, 1, 1, 1, 1)
    assert OPENS["pool_map_arrays"].worth(sizes) == 2 * 8_000_000 / 1e9, "there and back"
    assert OPENS["search"].worth(sizes) == 3, "fits of one candidate"
    assert OPENS["pool_map"].worth(sizes) == 1


def test_memcpy() -> None:
    pytest.importorskip("numpy")
    (result,) = measured("memcpy", "put_array_warm")
    assert result["value"] > 0


@pytest.mark.parametrize("name", ["pool", "executor"])
def test_start_of_a_baseline(name: str) -> None:
    (result,) = measured(name, "start")
    assert 0 < result["value"] < 60


def test_bare_answers_every_call() -> None:
    with callers.Bare("batches") as bare:
        for calls in (1, 99, 100, 101, 1234):
            bare.many(calls)
        assert len(bare.workers()) == 1


def test_in_flight_counts_calls_not_batches() -> None:
    class Counting:
        slow_down = 2
        made = 0

        def one(self) -> None:
            raise AssertionError

        def many(self, calls: int) -> None:
            self.made += calls

        def workers(self) -> set[int]:
            return set()

    caller = Counting()
    sample = measure.in_flight(caller, QUICK)
    assert sample.detail["in_flight"] == QUICK.in_flight // 2
    assert sample.calls == caller.made - QUICK.in_flight // 8


def test_a_row_that_fails_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def memcpy(row: str, sizes: rows.Sizes) -> Any:
        if row == "put_array_first":
            raise NotImplementedError("first puts")
        raise MemoryError("no room")

    monkeypatch.setattr(side, "memcpy", memcpy)
    lines: list[str] = []
    side.run_side("memcpy", ["put_array_first", "put_array_warm"], QUICK, lines.append)
    assert [json.loads(line)["error"] for line in lines] == [
        "not there: first puts",
        "MemoryError: no room",
    ]


def test_an_interpreter_that_dies_is_an_error_of_its_rows(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('this interpreter is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    results, killed = run.measure_side(SIDES["bare"], rows.ROWS[:2], QUICKLY)
    assert killed == 0
    assert [result["row"] for result in results] == ["task", "tasks_in_flight"]
    for result in results:
        assert "ended with exit code 1: SystemExit: this interpreter is broken" in result["error"]


def test_an_interpreter_that_hangs_is_ended(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import signal; signal.pause()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    settings = run.Settings(rows.ROWS[:1], quick=True, seconds_per_row=0.1)
    results, _ = run.measure_side(SIDES["bare"], rows.ROWS[:1], settings)
    assert "hung for 0 s" in results[0]["error"]
