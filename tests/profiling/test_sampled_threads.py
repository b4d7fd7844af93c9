"""Threads that a sampled call starts: each is sampled, for its call, as long as its call lasts."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab_profiling import attach, profile
from paralab_profiling.profilers import Profile, words
from paralab_profiling.profilers import threads as sampled_threads
from paralab_profiling.profilers.sampling import path_of
from paralab_profiling.profilers.threads import CALL, Seen, Threads
from paralab_profiling.profilers.tree import Frame, total_of

pytest.importorskip("pyinstrument")

ATTEMPTS = 3
"""Runs of which one has to be as it should: a busy machine can spoil any one of them."""
SECONDS = 60.0
START, SUBMIT = threading.Thread.start, ThreadPoolExecutor.submit


def leaf(number: int) -> int:
    return number + 1


def middle(count: int) -> int:
    return sum(leaf(number) for number in range(count))


def uneven(times: int) -> int:
    """10 of 11 leaves are under ``middle``."""
    found = 0
    for _ in range(times):
        found += middle(20_000) + sum(leaf(0) for _ in range(2_000))
    return found


def compute(seconds: float = 0.03) -> None:
    """So long that it is seen, on a machine that is busy, too."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        middle(100)


@contextmanager
def sampled_call(threads: Threads) -> Iterator[None]:
    sampled_threads.opened()
    token = CALL.set(threads)
    try:
        yield
    finally:
        CALL.reset(token)
        sampled_threads.closed()


def started(function: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def stands(thread: threading.Thread) -> list[str]:
    """The functions that a thread is in."""
    frame: Any = sys._current_frames()[thread.ident or 0]
    found = []
    while frame is not None:
        found.append(frame.f_code.co_name)
        frame = frame.f_back
    return found


def names(seen: Seen) -> set[str]:
    return {where.name for stack, _ in seen.records for where in path_of(stack)}


def test_threads_threads_of_threads_and_pools_are_sampled_for_their_call() -> None:
    threads = Threads(0.001)

    def outer() -> None:
        started(compute).join()

    with ThreadPoolExecutor(1) as older:
        older.submit(int).result()
        with sampled_call(threads):
            started(outer).join()
            list(older.map(lambda _number: compute(), range(2)))
    seen = threads.over()
    assert len(seen) == 4
    assert all(each.is_ended for each in seen)
    assert ["outer" in names(each) for each in seen].count(True) == 1
    assert ["middle" in names(each) for each in seen].count(True) == 3
    assert not any("_worker" in names(each) for each in seen), "a pool's thread waits, mostly"
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == (START, SUBMIT)


def test_a_thread_that_outlives_its_call_is_charged_where_it_stands_and_not_sampled_on() -> None:
    threads, is_over = Threads(0.001), threading.Event()
    profilers: list[Any] = []

    def stays() -> None:
        compute()
        is_over.wait(SECONDS)
        compute()
        profilers.append(sys.getprofile())

    with sampled_call(threads):
        thread = started(stays)

    deadline = time.monotonic() + SECONDS
    while "wait" not in stands(thread) and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    [seen] = threads.over()
    assert not seen.is_ended
    where = [each.name for each in path_of(seen.records[-1][0])]
    assert where[where.index("stays") + 1] == "wait"
    records = len(seen.records)
    is_over.set()
    thread.join(SECONDS)
    assert profilers == [None], "it has ended its sampler itself"
    assert threads.over() == [seen]
    assert len(seen.records) == records


def test_what_begins_after_its_call_is_not_sampled() -> None:
    threads, begun, gate = Threads(0.001), threading.Event(), threading.Event()
    ran = []

    def waits() -> None:
        begun.set()
        gate.wait(SECONDS)

    with ThreadPoolExecutor(1) as pool, sampled_call(threads):
        pool.submit(waits)
        queued = pool.submit(lambda: ran.append(CALL.get()))
        assert begun.wait(SECONDS)
        seen = threads.over()
        gate.set()
        queued.result(SECONDS)
    assert [each.is_ended for each in seen] == [False]
    assert ran == [None]
    assert len(threads.over()) == 1


def test_ends_and_samples_may_fall_together() -> None:
    failed: list[Any] = []
    hook, threading.excepthook = threading.excepthook, failed.append
    try:
        for _ in range(20):
            threads = Threads(0.0001)
            with sampled_call(threads):
                running = [started(lambda: compute(0.002)) for _ in range(3)]
            threads.over()
            for each in running:
                each.join(SECONDS)
    finally:
        threading.excepthook = hook
    assert not failed


def test_errors_are_the_thread_s_own_and_a_thread_starts_once() -> None:
    caught: list[Any] = []
    hook, threading.excepthook = threading.excepthook, lambda args: caught.append(args.exc_value)
    threads = Threads(0.001)

    def fails() -> None:
        raise KeyError("mine")

    try:
        with sampled_call(threads):
            thread = started(fails)
            thread.join(SECONDS)
            assert "run" not in vars(thread)
            with pytest.raises(RuntimeError, match="only be started once"):
                thread.start()
            assert "run" not in vars(thread)
            with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError):
                pool.submit(lambda: 1 / 0).result(SECONDS)
    finally:
        threading.excepthook = hook
    assert [type(each) for each in caught] == [KeyError]
    assert len(threads.over()) == 2


def test_a_thread_with_a_profiler_of_its_own_is_counted_and_left_alone() -> None:
    threads = Threads(0.001)
    events: list[str] = []
    threading.setprofile(lambda _frame, event, _arg: events.append(event))
    try:
        with sampled_call(threads):
            started(compute).join(SECONDS)
    finally:
        threading.setprofile(None)  # type: ignore[arg-type]
    assert threads.over() == []
    assert threads.refused == 1
    assert "call" in events


def test_threads_of_paralab_are_not_the_call_s() -> None:
    threads, ours = Threads(0.001), {"__name__": "paralab.somewhere"}
    exec("def start(thread): thread.start()\ndef submit(pool): return pool.submit(int)", ours)
    start: Any = ours["start"]
    submit: Any = ours["submit"]
    with ThreadPoolExecutor(1) as pool, sampled_call(threads):
        thread = threading.Thread(target=int)
        start(thread)
        thread.join(SECONDS)
        submit(pool).result(SECONDS)
    assert threads.over() == []


def test_the_first_call_s_end_leaves_the_second_s_threads_sampled() -> None:
    one, two = Threads(0.001), Threads(0.001)
    sampled_threads.opened()
    with sampled_call(two):
        started(compute).join(SECONDS)
        assert one.over() == []
        sampled_threads.closed()
        started(compute).join(SECONDS)
    assert len(two.over()) == 2
    assert threading.Thread.start is START


def test_what_somebody_puts_around_ours_stays_and_a_child_has_none() -> None:
    threads = Threads(0.001)
    with sampled_call(threads):
        ours = threading.Thread.start

        def around(thread: threading.Thread) -> None:
            ours(thread)

        threading.Thread.start = around  # type: ignore[method-assign, assignment]
    try:
        assert threading.Thread.start is around
        with sampled_call(threads):
            started(compute).join(SECONDS)
        assert len(threads.over()) == 1
    finally:
        threading.Thread.start = ours  # type: ignore[method-assign]
        sampled_threads._forked()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == (START, SUBMIT)


def root(name: str, calls: int, *children: tuple[str, str, float]) -> Frame:
    below = tuple(
        Frame(name, file, 1, own, own, 0, (), "yours" if file else "library")
        for name, file, own in children
    )
    return Frame(name, "f.py", 1, 0.0, sum(each.own for each in below), calls, below, "task")


def test_the_finding_is_what_the_threads_do_and_not_who_waits_for_them() -> None:
    roots = (
        root("work", 2, ("lock.acquire", "", 3.0), ("prepares", "f.py", 0.5)),
        root("threads of work", 0, ("crunch", "f.py", 2.0), ("lock.acquire", "", 0.9)),
    )
    rows = {"threads": [["work", 5, 1, 0], ["work", 3, 1, 2]]}
    found = Profile("pyinstrument", "s", roots, {1: 2}, samples=9, extra=rows)
    assert found.tasks == {"work": 2}
    assert found.title == "31 % of 6.40 s in crunch, over 2 tasks"
    assert words.note(found) == (
        "pyinstrument, 1 process, 9 samples, 8 functions in threads, 2 of them until their task "
        "ended, as they went on, 2 in threads not sampled: another profiler was at work there"
    )
    assert Profile.from_dict(found.to_dict()) == found
    alone = Profile("pyinstrument", "s", roots[:1], {1: 2})
    assert "in work" in alone.title, "without threads a wait is the task's own"


@paralab.remote
def in_a_thread(times: int) -> None:
    started(lambda: uneven(times)).join()


@paralab.remote
def by_itself(times: int) -> int:
    return uneven(times)


@paralab.remote
def computes_in_a_thread(begun: str, gate: str) -> None:
    def until_the_gate_opens() -> None:
        Path(begun).touch()
        while not os.path.exists(gate):
            uneven(1)

    started(until_the_gate_opens).join()


@paralab.remote
def who_starts_threads() -> tuple[str, str]:
    return threading.Thread.start.__module__, ThreadPoolExecutor.submit.__module__


@paralab.remote
class Keeper:
    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(2)
        self.is_over = threading.Event()
        self.thread: Any = None

    def maps(self, times: int) -> int:
        return sum(self.pool.map(uneven, [1] * times))

    def begins(self) -> None:
        has_begun = threading.Event()

        def goes_on() -> None:
            compute()
            has_begun.set()
            self.is_over.wait(SECONDS)
            compute()

        self.thread = started(goes_on)
        has_begun.wait(SECONDS)

    def ends(self) -> bool:
        self.is_over.set()
        self.thread.join(SECONDS)
        return bool(self.thread.is_alive())


@pytest.mark.slow
@pytest.mark.usefixtures("attached_may_take_long")
def test_threads_agree_by_share_with_other_tools(session: Any, tmp_path: Path) -> None:
    def share(p: Any, of: str) -> float:
        return float(p.total("middle") / p.total(of))

    def sampled() -> float:
        with profile("pyinstrument") as p:
            paralab.get([in_a_thread.remote(1) for _ in range(4)], timeout=SECONDS)
        assert p.tasks == {"in_a_thread": 4}
        assert [row[1:] for row in merged_rows(p)] == [[4, 0, 0]]
        assert p.total("uneven") <= p.total("threads of in_a_thread")
        assert "in a_thread" not in p.title
        return share(p, "uneven")

    def counted() -> float:
        with profile("cprofile") as p:
            paralab.get([by_itself.remote(1) for _ in range(4)], timeout=SECONDS)
        return share(p, "uneven")

    def attached(attempt: int) -> float:
        begun, gate = (tmp_path / f"{name}-{attempt}" for name in ("begun", "gate"))
        ref = computes_in_a_thread.remote(str(begun), str(gate))
        eventually(begun.exists, SECONDS)
        try:
            p = attach(None, 0.5)
        finally:
            gate.touch()
            paralab.get(ref, timeout=SECONDS)
        return share(p, "uneven") if p.total("uneven") else 0.0

    found: list[tuple[float, float, float]] = []
    while len(found) < ATTEMPTS and not are_all_large(found):
        found.append((sampled(), counted(), attached(len(found))))
    assert all(0 <= each <= 1.001 for shares in found for each in shares), found
    assert are_all_large(found), found


def are_all_large(found: list[tuple[float, float, float]]) -> bool:
    """Whether each tool has found, once at least, that most of the time goes into ``middle``."""
    return bool(found) and all(max(of_a_tool) > 0.6 for of_a_tool in zip(*found, strict=True))


def merged_rows(p: Any) -> list[list[Any]]:
    """The rows about threads, one for each task's name."""
    merged: dict[str, list[int]] = {}
    for name, *counts in p.result.extra.get("threads", ()):
        before = merged.get(name, [0, 0, 0])
        merged[name] = [one + more for one, more in zip(before, counts, strict=True)]
    return [[name, *counts] for name, counts in sorted(merged.items())]


@pytest.mark.slow
def test_threads_of_actors_that_are_older_or_stay(session: Any) -> None:
    keeper = Keeper.remote()
    paralab.get(keeper.maps.remote(2), timeout=SECONDS)
    with profile("pyinstrument") as p:
        paralab.get([keeper.maps.remote(3), keeper.begins.remote()], timeout=SECONDS)
    assert p.tasks == {"Keeper.maps": 1, "Keeper.begins": 1}
    assert merged_rows(p) == [["Keeper.begins", 1, 1, 0], ["Keeper.maps", 3, 0, 0]]
    of_threads = {each.name: each for each in p.roots if each.is_threads}
    assert set(of_threads) == {"threads of Keeper.begins", "threads of Keeper.maps"}
    assert total_of([of_threads["threads of Keeper.begins"]], lambda each: each.name == "goes_on")
    assert total_of([of_threads["threads of Keeper.maps"]], lambda each: each.name == "uneven")
    assert "1 of them until their task ended" in " ".join(repr(p).split())
    before = p.total("threads of Keeper.begins")
    assert not paralab.get(keeper.ends.remote(), timeout=SECONDS)
    assert p.refresh().total("threads of Keeper.begins") == before
    starts = paralab.get([who_starts_threads.remote() for _ in range(4)], timeout=SECONDS)
    assert set(starts) == {("threading", "concurrent.futures.thread")}


@pytest.mark.slow
def test_threads_of_the_driver_s_block(session: Any) -> None:
    with profile("pyinstrument", driver=True) as p:
        started(lambda: uneven(2)).join(SECONDS)
    assert p.tasks == {"this process": 1}
    assert p.total("threads of this process") >= p.total("uneven") > 0
    assert threading.Thread.start is START
