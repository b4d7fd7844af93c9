"""The path of causes, work and span, on made-up runs."""

from __future__ import annotations

from synthetic import MS, pending, put, recording, task, wait

from paralab_profiling.paths import critical_ns, critical_path, own_ns, span_ns, work_ns


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
    assert critical_ns(run) == 45 * MS
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
    assert critical_path(run) == ("a", "b"), "it ended last, after it had waited for its child"
    early = recording(*run.tasks, wait(95, 96, "b", process=2, parent="a"))
    assert critical_path(early) == ("a",), "what is there already holds up nobody"
    late = recording(task("a", 0, 30), task("b", 40, 80, submitted=10, owner=2, parent="a"))
    assert critical_path(late) == ("a", "b")


def test_waits_in_a_task_one_after_the_other() -> None:
    """Fibonacci with ``get`` after each call: both children are on the path."""
    inside = {"owner": 2, "parent": "a"}
    run = recording(
        task("before", -20, -5),
        task("a", 0, 100, submitted=-15, needs=("before",)),
        task("b", 10, 40, submitted=5, worker=3, **inside),
        task("other", 10, 20, submitted=6, worker=4, **inside),
        task("c", 50, 90, submitted=45, worker=3, **inside),
        wait(7, 42, "b", process=2, parent="a"),
        wait(46, 92, "c", process=2, parent="a"),
    )
    assert critical_path(run) == ("before", "a", "b", "c")
    # a runs from 0 to 5, 42 to 45 and 92 to 100 while nothing else of it does.
    assert critical_ns(run) == (15 + 5 + 30 + 3 + 40 + 8) * MS


def test_refs_inside_an_argument_are_waited_for_too() -> None:
    """The driver owns them, so the task's process gets no reply of theirs."""
    run = recording(
        task("x", 1, 30, submitted=0),
        task("y", 1, 50, submitted=0.1, worker=3),
        task("sum", 2, 60, submitted=0.2, worker=4, holds=("x", "y")),
        wait(3, 51, "x", process=4, parent="sum", count=2),
    )
    assert critical_path(run) == ("y", "sum")
    never = recording(*run.tasks, wait(55, 56, "x", process=4, parent="sum"))
    assert critical_path(never) == ("sum",)


def test_a_circle_in_a_broken_file_ends() -> None:
    run = recording(
        task("a", 10, 40, submitted=0, needs=("b",)), task("b", 10, 50, submitted=0, needs=("a",))
    )
    assert set(critical_path(run)) == {"a", "b"}
