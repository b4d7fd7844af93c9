"""The path of causes, work and span, on made-up runs."""

from __future__ import annotations

from synthetic import MS, pending, put, recording, task, wait

from paralab_profiling.paths import critical_path, own_ns, span_ns, work_ns


def test_an_empty_run_has_no_path() -> None:
    assert critical_path(recording()) == ()
    assert span_ns(recording()) == work_ns(recording()) == 0
    assert critical_path(recording(pending("1", 0))) == ()


def test_the_input_that_came_last_is_on_it() -> None:
    run = recording(
        put("p", 0),
        task("a", 10, 20, submitted=0),
        task("b", 10, 50, worker=3, submitted=1),
        task("c", 55, 60, submitted=2, needs=("a", "b", "p")),
    )
    assert critical_path(run) == ("b", "c")
    assert work_ns(run) == 55 * MS
    assert span_ns(run) == 45 * MS


def test_the_call_before_on_the_same_actor() -> None:
    run = recording(
        task("a", 10, 40, submitted=0, actor="x", kind="actor"),
        task("b", 41, 45, submitted=1, actor="x", kind="actor"),
        task("c", 10, 12, submitted=2, worker=3, actor="y", kind="actor"),
    )
    assert critical_path(run) == ("a", "b")
    assert span_ns(run) == 34 * MS


def test_what_the_driver_had_waited_for() -> None:
    """``get`` in the loop: nothing is handed on, but each waits for the one before."""
    parts = [task(f"{n}", 10 * n + 1, 10 * n + 9, submitted=10 * n + 0.5) for n in range(4)]
    waits = [wait(10 * n + 0.7, 10 * n + 9.3, f"{n}") for n in range(4)]
    assert critical_path(recording(*parts, *waits)) == ("0", "1", "2", "3")
    assert span_ns(recording(*parts, *waits)) == 8 * MS, "by dependencies alone they are free"


def test_a_child_comes_after_its_parent_whose_wait_is_not_its_own_time() -> None:
    run = recording(
        task("a", 0, 100),
        task("b", 20, 80, submitted=10, owner=2, worker=3, parent="a"),
        wait(12, 90, "b", process=2, parent="a"),
    )
    assert own_ns(run) == {"a": 22 * MS, "b": 60 * MS}
    assert critical_path(run) == ("a",), "it ended last, and nothing held up its start"
    late = recording(task("a", 0, 30), task("b", 40, 80, submitted=10, owner=2, parent="a"))
    assert critical_path(late) == ("a", "b")


def test_a_circle_in_a_broken_file_ends() -> None:
    run = recording(
        task("a", 10, 40, submitted=0, needs=("b",)), task("b", 10, 50, submitted=0, needs=("a",))
    )
    assert set(critical_path(run)) == {"a", "b"}
