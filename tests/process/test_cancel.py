"""Cancel: what has not begun never does, what runs is interrupted, and the runtime is not."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from process_helpers import LARGE, eventually, stored

import paralab
from paralab.engine import current
from paralab.exceptions import TaskCancelledError, WorkerCrashedError
from paralab.messages import END_RUNNING

pytestmark = pytest.mark.usefixtures("session")


class Marks:
    """Files that tasks leave, to say how far they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        os.mkfifo(folder / "begun")
        # Open for both, so that it has no end; and one line each, as several may come at once.
        self.lines = open(folder / "begun", "r+b", buffering=0)  # noqa: SIM115

    def __reduce__(self) -> tuple[Any, ...]:
        return _marks_in_a_task, (self.folder,)

    def begin(self) -> None:
        """In a task: tells the test that it runs."""
        with open(self.folder / "begun", "w") as fifo:
            fifo.write(f"{os.getpid()}\n")

    def begun(self) -> int:
        """In a test: waits until a task runs; its process."""
        return int(self.lines.readline())

    def leave(self, name: str) -> None:
        (self.folder / name).touch()

    def __contains__(self, name: str) -> bool:
        return (self.folder / name).exists()


def _marks_in_a_task(folder: Path) -> Marks:
    marks = Marks.__new__(Marks)
    marks.folder = folder
    return marks


@pytest.fixture
def marks(tmp_path: Path) -> Iterator[Marks]:
    made = Marks(tmp_path)
    with made.lines:
        yield made


@pytest.fixture(autouse=True)
def at_rest() -> Iterator[None]:
    """After each test every CPU is free, and the store is empty."""
    yield
    total = paralab.cluster_resources()
    eventually(lambda: paralab.available_resources() == total)
    eventually(lambda: stored() == 0)


@paralab.remote
def add(a: int, b: int = 1) -> int:
    return a + b


def sleeps(_marks: Marks) -> None:
    time.sleep(60)


def spins(_marks: Marks) -> None:
    while True:
        pass


def waits_for_a_lock(_marks: Marks) -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def waits_for_an_object(marks: Marks) -> None:
    ref = forever.options(num_cpus=0).remote(marks)
    paralab.get(ref)


def waits_for_one_of_several(marks: Marks) -> None:
    paralab.wait([forever.options(num_cpus=0).remote(marks) for _ in range(2)], num_returns=2)


def puts(_marks: Marks) -> None:
    while True:
        paralab.put(bytes(LARGE))


def is_in_callbacks(_marks: Marks) -> None:
    """Spends its time where Python drops exceptions, and says so."""

    class Thing:
        pass

    while True:
        thing = Thing()
        weak = weakref.ref(thing, lambda _: [str(n) for n in range(1_000)])
        del thing
        assert weak() is None


def submits(_marks: Marks) -> None:
    while True:
        paralab.get([add.remote(1) for _ in range(20)])


def prints(_marks: Marks) -> None:
    while True:
        sys.stdout.write("")
        sys.stdout.write("x\r")


@paralab.remote
def forever(marks: Marks) -> None:
    time.sleep(60)


@paralab.remote
def run(what: Callable[[Marks], None], marks: Marks) -> None:
    marks.begin()
    what(marks)


@pytest.mark.parametrize(
    "what",
    [
        *(sleeps, spins, waits_for_a_lock, waits_for_an_object, waits_for_one_of_several),
        *(puts, submits, prints, is_in_callbacks),
    ],
)
def test_a_running_task_is_interrupted(what: Any, marks: Marks) -> None:
    ref = run.remote(what, marks)
    pid = marks.begun()
    paralab.cancel(ref)
    with pytest.raises(TaskCancelledError, match="was cancelled") as caught:
        paralab.get(ref)
    assert caught.value.task_id == ref.task_id()
    os.kill(pid, 0)  # the process is used on


def test_what_the_task_makes_of_the_interrupt(marks: Marks) -> None:
    @paralab.remote(max_retries=2, retry_exceptions=True)
    def task(then: str) -> str:
        try:
            marks.begin()
            time.sleep(60)
        except KeyboardInterrupt:
            if then == "return":
                return then
            raise LookupError(then) from None
        finally:
            marks.leave("finally")
        return "never"

    ref = task.remote("return")
    marks.begun()
    paralab.cancel(ref)
    assert paralab.get(ref) == "return"
    assert "finally" in marks
    ref = task.remote("raise")
    marks.begun()
    paralab.cancel(ref)
    with pytest.raises(LookupError, match="raise"):  # and it is not tried again
        paralab.get(ref)


@pytest.mark.parametrize("number", range(3))
def test_interrupts_at_any_moment(number: int) -> None:
    """Tasks that deal with the runtime all the time, cancelled at moments of chance."""

    @paralab.remote
    def busy(seed: int) -> int:
        refs = []
        for n in range(200):
            refs.append(add.options(num_cpus=0).remote(n))
            if n % 10 == seed % 10:
                refs.append(paralab.put(bytes(LARGE)))
                paralab.get(refs.pop(0))
        return sum(paralab.get(refs[:50]))

    pause = threading.Event()
    for seed in range(12):
        refs = [busy.remote(seed + n) for n in range(3)]
        pause.wait(0.003 * seed * (number + 1))
        for ref in refs:
            paralab.cancel(ref)
        for ref in refs:
            try:
                paralab.get(ref)
            except TaskCancelledError:
                pass
            except TypeError:  # sum() of bytes: it had finished
                pass
    assert paralab.get([add.remote(n) for n in range(300)]) == [n + 1 for n in range(300)]


def test_a_task_that_waits_for_its_inputs(marks: Marks) -> None:
    slow = run.remote(sleeps, marks)
    marks.begun()
    ref = add.remote(slow)
    paralab.cancel(ref)
    with pytest.raises(TaskCancelledError):
        paralab.get(ref)
    assert paralab.wait([slow], timeout=0)[0] == [], "its input goes on"
    behind = add.remote(slow)
    paralab.cancel(slow)
    for each in (slow, behind):
        with pytest.raises(TaskCancelledError):
            paralab.get(each)


def test_tasks_that_wait_for_a_worker(marks: Marks) -> None:
    blocking = [run.remote(sleeps, marks), run.remote(sleeps, marks)]
    for _ in range(2):
        marks.begun()
    queued = [add.remote(n) for n in range(20)]
    for ref in queued[:-1]:
        paralab.cancel(ref)
    for ref in queued[:-1]:
        with pytest.raises(TaskCancelledError):
            paralab.get(ref)
    never = run.options(resources={"none such": 1}).remote(sleeps, marks)
    paralab.cancel(never)
    with pytest.raises(TaskCancelledError):
        paralab.get(never)
    for ref in blocking:
        paralab.cancel(ref)
    assert paralab.get(queued[-1]) == 20
    eventually(lambda: current().info("requests") == [])


def test_short_tasks_in_a_workers_queue() -> None:
    paralab.get([add.remote(n) for n in range(300)])  # their time is known now
    refs = [add.remote(n) for n in range(1_000)]
    for ref in refs:
        paralab.cancel(ref)
    for n, ref in enumerate(refs):
        try:
            assert paralab.get(ref) == n + 1
        except TaskCancelledError:
            pass


def test_children_go_with_their_parent(marks: Marks) -> None:
    @paralab.remote
    def parent() -> Any:
        refs = [run.options(num_cpus=0).remote(sleeps, marks) for _ in range(3)]
        marks.leave("submitted")
        return paralab.get(refs)

    ref = parent.remote()
    for _ in range(3):
        marks.begun()
    paralab.cancel(ref)
    with pytest.raises(TaskCancelledError):
        paralab.get(ref)
    eventually(lambda: running() == [])


def running() -> list[str]:
    """Names of the tasks that hold a lease which is not idle."""
    current().info("available_resources")
    return [w["task"] for w in current().info("workers") if w["state"] == "leased"]


def test_children_stay_if_so_asked(marks: Marks) -> None:
    @paralab.remote
    def parent(box: list[Any]) -> Any:
        ref = run.options(num_cpus=0).remote(sleeps, marks)
        paralab.get(box[0].keep.remote([ref]))
        return paralab.get(ref)

    box = Box.remote()
    ref = parent.remote([box])
    pid = marks.begun()
    (child,) = eventually(lambda: paralab.get(box.look.remote()))
    paralab.cancel(ref, recursive=False)
    with pytest.raises(TaskCancelledError):
        paralab.get(ref)
    assert paralab.wait([child], timeout=0)[0] == []
    os.kill(pid, 0)
    paralab.cancel(child)  # whose owner is the worker
    with pytest.raises(TaskCancelledError):
        paralab.get(child)


@paralab.remote(num_cpus=0)
class Box:
    def __init__(self) -> None:
        self.kept: list[Any] = []

    def keep(self, values: list[Any]) -> None:
        self.kept = values

    def look(self) -> list[Any]:
        return self.kept

    def hold(self, marks: Marks) -> str:
        marks.begin()
        while not paralab.get_runtime_context().is_canceled():
            time.sleep(0.001)
        return "gracefully"

    def large(self, marks: Marks) -> Any:
        self.hold(marks)
        return [bytes(LARGE), paralab.put(1)]


def test_force_ends_the_process_and_spends_no_retry(marks: Marks) -> None:
    ref = run.options(max_retries=5).remote(spins, marks)
    pid = marks.begun()
    paralab.cancel(ref, force=True)
    with pytest.raises(TaskCancelledError):
        paralab.get(ref)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_force_ends_a_call_into_c_that_hears_nothing(marks: Marks) -> None:
    def deaf(marks: Marks) -> int:
        marks.begin()
        return sum(range(10**12))  # hours, with the GIL kept

    ref = run.options(max_retries=5).remote(deaf, marks)
    pid = marks.begun()
    paralab.cancel(ref, force=True)
    with pytest.raises(TaskCancelledError):
        paralab.get(ref, timeout=60)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_only_the_task_that_is_meant_is_ended_by_force(marks: Marks) -> None:
    core: Any = current()
    ref = run.options(max_retries=0).remote(sleeps, marks)
    pid = marks.begun()
    (task,) = core.calls.table.pending.values()
    core.do(lambda: core.node.post((END_RUNNING, task.worker.address, task.key + 1)))
    assert paralab.nodes(), "the node has answered, so it has read what was said before"
    os.kill(pid, 0)
    core.do(lambda: core.node.post((END_RUNNING, task.worker.address, task.key)))
    with pytest.raises(WorkerCrashedError):
        paralab.get(ref)


def test_force_reaches_the_children(marks: Marks) -> None:
    @paralab.remote
    def parent() -> Any:
        return paralab.get(run.options(num_cpus=0).remote(sleeps, marks))

    ref = parent.remote()
    child = marks.begun()
    ended = os.pidfd_open(child)
    paralab.cancel(ref, force=True)
    with pytest.raises(TaskCancelledError):
        paralab.get(ref)
    os.close(ended)
    eventually(lambda: child not in [w["pid"] for w in current().info("workers")])


def test_a_worker_that_is_killed_after_the_cancel(marks: Marks) -> None:
    @paralab.remote
    def stubborn() -> None:
        while True:
            try:
                marks.begin()
                time.sleep(60)
            except KeyboardInterrupt:
                pass

    ref = stubborn.remote()
    marks.begun()
    paralab.cancel(ref)
    os.kill(marks.begun(), signal.SIGKILL)
    with pytest.raises(TaskCancelledError):  # it would have had three more attempts
        paralab.get(ref)


def test_calls_of_an_actor(marks: Marks) -> None:
    box = Box.remote()
    held = box.hold.remote(marks)
    marks.begun()
    behind = [box.keep.remote([n]) for n in range(3)]
    with pytest.raises(ValueError, match="force=True is not supported for actor tasks"):
        paralab.cancel(held, force=True)
    for ref in (behind[0], behind[2], held):
        paralab.cancel(ref)
    for ref in (behind[0], behind[2], held):
        with pytest.raises(TaskCancelledError):
            paralab.get(ref)
    assert paralab.get(box.look.remote()) == [1]


def test_the_large_result_of_a_cancelled_call_is_freed(marks: Marks) -> None:
    box = Box.remote()
    ref = box.large.remote(marks)
    marks.begun()
    paralab.cancel(ref)
    with pytest.raises(TaskCancelledError):
        paralab.get(ref)


def test_calls_of_an_actor_without_a_place(marks: Marks) -> None:
    box = Box.options(resources={"none such": 1}).remote()
    refs = [box.look.remote() for _ in range(3)]
    paralab.cancel(refs[0])
    with pytest.raises(TaskCancelledError):
        paralab.get(refs[0])
    assert paralab.wait(refs[1:], timeout=0)[0] == []


def test_cancel_of_what_has_finished() -> None:
    ref = add.remote(1)
    assert paralab.get(ref) == 2
    for force in (False, True):
        paralab.cancel(ref, force=force)
    value = paralab.put(5)
    paralab.cancel(value)
    assert paralab.get([ref, value]) == [2, 5]


def test_arguments_of_cancelled_tasks_are_freed(marks: Marks) -> None:
    large = paralab.put(bytes(LARGE))
    blocking = [run.remote(sleeps, marks), run.remote(sleeps, marks)]
    for _ in range(2):
        marks.begun()
    refs = [add.remote(large, large), add.remote(bytes(LARGE), [large])]
    del large
    for ref in [*refs, *blocking]:
        paralab.cancel(ref)
        with pytest.raises(TaskCancelledError):
            paralab.get(ref)


def test_the_owner_of_a_borrowed_ref_has_died(marks: Marks) -> None:
    @paralab.remote
    def hand_out(box: list[Any]) -> None:
        paralab.get(box[0].keep.remote([forever.options(num_cpus=0).remote(marks)]))
        marks.begin()
        time.sleep(60)

    box = Box.remote()
    ref = hand_out.options(max_retries=0).remote([box])
    pid = marks.begun()
    (child,) = paralab.get(box.look.remote())
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(paralab.exceptions.WorkerCrashedError):
        paralab.get(ref)
    paralab.cancel(child)
    with pytest.raises(paralab.exceptions.OwnerDiedError):
        paralab.get(child)
