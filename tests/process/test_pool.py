"""``util.multiprocessing.Pool``: what the standard library's tests do not ask."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from multiprocessing.pool import MaybeEncodingError  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab.exceptions import ActorDiedError
from paralab.util.multiprocessing import Pool, TimeoutError  # noqa: A004
from paralab.util.multiprocessing.dispatcher import CHUNK_SECONDS, Function, Job

pytestmark = pytest.mark.usefixtures("session")


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2) as made:
        yield made
    made.join()


def square(x: int) -> int:
    return x * x


def wait_for_line(fifo: str) -> str:
    with open(fifo) as lines:
        return lines.readline()


def test_each_process_is_initialized_once_and_keeps_its_state() -> None:
    def start(value: int) -> None:
        import builtins

        builtins.started = [*getattr(builtins, "started", []), value]  # type: ignore[attr-defined]

    def state(_item: int) -> tuple[int, list[int]]:
        import builtins

        return os.getpid(), builtins.started  # type: ignore[attr-defined]

    with Pool(2, initializer=start, initargs=(7,)) as pool:
        seen = pool.map(state, range(40), chunksize=1)
    pool.join()
    assert {tuple(started) for _pid, started in seen} == {(7,)}
    assert os.getpid() not in {pid for pid, _started in seen}


def test_an_initializer_that_fails_is_said_and_nobody_waits() -> None:
    def start() -> None:
        raise RuntimeError("no licence")

    with Pool(1, initializer=start) as pool:
        with pytest.raises(ActorDiedError, match="no licence"):
            pool.map(square, [1])
        with pytest.raises(ActorDiedError, match="no licence"):
            pool.apply(square, (1,))


def test_a_process_is_replaced_after_its_tasks() -> None:
    with Pool(1, maxtasksperchild=3) as pool:
        pids = pool.map(lambda _x: os.getpid(), range(9), chunksize=1)
    pool.join()
    assert [len(list(same)) for _pid, same in itertools.groupby(pids)] == [3, 3, 3]


def test_a_process_that_dies_fails_its_call_and_is_replaced(pool: Pool) -> None:
    def die(x: int) -> int:
        if x == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    with pytest.raises(ActorDiedError, match="SIGKILL"):
        pool.map(die, range(6), chunksize=1)
    assert pool.map(square, range(20)) == [x * x for x in range(20)]


def test_an_infinite_iterable_is_read_only_so_far_ahead(pool: Pool) -> None:
    read: list[int] = []

    def count() -> Iterator[int]:
        for n in itertools.count():
            read.append(n)
            yield n

    results = pool.imap(square, count())
    assert [next(results) for _ in range(100)] == [x * x for x in range(100)]
    eventually(lambda: len(read) == 100 + 32)


def test_what_nobody_takes_is_computed_before_join_returns(tmp_path: Path) -> None:
    def note(n: int) -> None:
        (tmp_path / str(n)).touch()

    pool = Pool(2)
    results = pool.imap_unordered(note, (n for n in range(70)))
    pool.close()
    pool.join()
    assert len(list(tmp_path.iterdir())) == 70
    assert list(results) == [None] * 70


def test_an_iterable_that_raises_ends_imap_with_its_error(pool: Pool) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    results = pool.imap(square, items())
    assert next(results) == 1
    with pytest.raises(LookupError, match="no more"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)
    assert pool.map(square, [2]) == [4]


def test_terminate_ends_what_runs_and_says_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    pool = Pool(2)
    running = pool.apply_async(wait_for_line, (str(tmp_path / "fifo"),))
    queued = pool.map_async(wait_for_line, [str(tmp_path / "fifo")] * 5, chunksize=1)
    endless = pool.imap(square, itertools.count())
    pool.terminate()
    pool.join()
    for result in (running, queued):
        with pytest.raises(RuntimeError, match="terminated"):
            result.get(timeout=60)
    taken = itertools.islice(endless, 100)
    with contextlib.suppress(RuntimeError):
        assert len(list(taken)) < 100, "it has an end now"
    with pytest.raises(ValueError, match="Pool not running"):
        pool.apply(square, (1,))


def test_a_lost_pool_ends_its_processes() -> None:
    pool = Pool(2)
    pids = {pool.apply(os.getpid) for _ in range(4)}
    thread = pool._thread
    del pool
    thread.join(60)
    assert not thread.is_alive()
    for pid in pids:
        eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists())


def test_callbacks_that_raise_hold_nobody_up(pool: Pool) -> None:
    seen: list[Any] = []
    heard = threading.Event()

    def bad(value: Any) -> None:
        seen.append(value)
        raise RuntimeError("in the callback")

    assert pool.apply_async(square, (3,), callback=bad).get() == 9
    with pytest.raises(ZeroDivisionError):
        pool.map_async(lambda x: 1 // x, [1, 0], error_callback=bad).get()
    pool.starmap_async(pow, [(2, 3)], seen.append)
    pool.apply_async(square, (0,), callback=lambda _value: heard.set())
    assert heard.wait(60)
    eventually(lambda: len(seen) == 3)
    assert seen[0] == 9
    assert isinstance(seen[1], ZeroDivisionError)
    assert seen[2] == [8]


def test_the_function_s_traceback_is_in_the_error(pool: Pool) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        pool.apply(lambda: 1 // 0)
    assert "lambda: 1 // 0" in str(raised.value.__cause__)


def test_what_cannot_be_pickled_is_said(pool: Pool) -> None:
    lock = threading.Lock()
    with pytest.raises(TypeError, match="lock"):
        pool.map(lambda _x: lock, [1])

    def make(_x: int) -> Any:
        import threading

        return threading.Lock()

    with pytest.raises(MaybeEncodingError):
        pool.map(make, [1])
    with pytest.raises(NotImplementedError):
        pickle.dumps(pool)
    assert pool.map(square, [3]) == [9]


def test_timeouts_and_states(pool: Pool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    result = pool.apply_async(wait_for_line, [str(tmp_path / "fifo")])
    with pytest.raises(TimeoutError):
        result.get(timeout=0.01)
    assert not result.ready()
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    (tmp_path / "fifo").write_text("line\n")
    assert result.get(timeout=60) == "line\n"
    assert result.successful()
    with pytest.raises(ValueError, match="still running"):
        pool.join()


def test_bad_arguments_are_refused_by_name(pool: Pool) -> None:
    with pytest.raises(ValueError, match="1000 processes"):
        Pool(1000)
    with pytest.raises(TypeError, match="initializer"):
        Pool(1, initializer=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no_such_option"):
        Pool(1, ray_remote_args={"no_such_option": 1})
    for chunksize in (0, -1):
        with pytest.raises(ValueError, match="Chunksize"):
            pool.map(square, [1], chunksize)
        with pytest.raises(ValueError, match="Chunksize"):
            pool.imap(square, [1], chunksize)
    with pytest.raises(TypeError):
        pool.map(square, 5)  # type: ignore[arg-type]


def test_calls_have_names_in_the_timeline(pool: Pool) -> None:
    pool.map(square, range(10))
    names = {event["name"] for event in paralab.timeline() or () if event["ph"] == "X"}
    assert any("Pool.map square" in name for name in names)


def test_pools_in_tasks() -> None:
    @paralab.remote(num_cpus=0)
    def inside() -> list[int]:
        with Pool(2) as pool:
            return pool.map(square, range(5))

    assert paralab.get(inside.remote()) == [0, 1, 4, 9, 16]


def test_chunks_are_as_long_as_their_items_are_short() -> None:
    function = Function("map", square)
    job = Job(function, lambda *_settled: None, range(10_000))
    assert job.cut(2) == (0, [0]), "nothing is known yet"
    function.took(CHUNK_SECONDS / 100, 1)
    assert len(job.cut(2)[1]) == 100
    function.seconds = 1e-7
    assert len(job.cut(2)[1]) == -(-(10_000 - 101) // 4), "not more than a fair share"
    function.seconds = 1.0
    assert len(job.cut(2)[1]) == 1
    assert job.window == 1
