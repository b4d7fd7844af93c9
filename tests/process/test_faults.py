"""Processes that die: what the caller is told, what runs again, and that work goes on."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from process_helpers import LARGE, eventually, kill, stored, workers

import paralab
from leak_check import wait_ended
from paralab.engine import current
from paralab.exceptions import ActorDiedError, LocalNodeDied, WorkerCrashedError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]


@paralab.remote
def pid() -> int:
    return os.getpid()


@paralab.remote
def die_until(marks: str, deaths: int) -> int:
    """Kills its process in the first ``deaths`` attempts; returns the number of attempts."""
    folder = Path(marks)
    attempt = len(list(folder.iterdir())) + 1
    (folder / str(attempt)).touch()
    if attempt <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return attempt


@paralab.remote(max_retries=0)
def die(how: str) -> None:
    if how == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "SIGSEGV":
        ctypes.string_at(0)
    elif how == "_exit":
        os._exit(7)
    elif how == "exit":
        sys.exit(9)
    elif how == "abort":
        os.abort()


@paralab.remote
class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count

    def pid(self) -> int:
        return os.getpid()

    def until(self, path: str) -> str:
        """Says that it runs, and waits for a word that never comes."""
        with open(path, "w") as file:
            file.write("here\n")
        return open(path).read()

    def write_error(self, text: str) -> None:
        sys.stderr.write(text)

    def write_error_and_die(self, text: str) -> None:
        sys.stderr.write(text)
        os.kill(os.getpid(), signal.SIGKILL)

    def write_raw_error_and_die(self, text: bytes) -> None:
        os.write(2, text)
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_task_runs_again(tmp_path: Path) -> None:
    assert paralab.get(die_until.remote(str(tmp_path), 3)) == 4


def test_retries_end_and_the_error_counts_them(tmp_path: Path) -> None:
    with pytest.raises(WorkerCrashedError, match=r"attempt 4 of 4; max_retries=3"):
        paralab.get(die_until.remote(str(tmp_path), 9))
    assert len(list(tmp_path.iterdir())) == 4


def test_endless_retries(tmp_path: Path) -> None:
    assert paralab.get(die_until.options(max_retries=-1).remote(str(tmp_path), 6)) == 7


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("SIGKILL", "killed by signal 9 (SIGKILL)"),
        ("SIGSEGV", "killed by signal 11 (SIGSEGV)"),
        ("abort", "killed by signal 6 (SIGABRT)"),
        ("_exit", "exited with code 7"),
        ("exit", "exited with code 9"),
    ],
)
def test_the_error_says_how_the_process_ended(how: str, said: str) -> None:
    with pytest.raises(WorkerCrashedError) as caught:
        paralab.get(die.remote(how))
    text = str(caught.value)
    assert said in text
    assert "die failed: The worker process " in text
    assert "attempt 1 of 1; max_retries=0" in text
    assert paralab.get(pid.remote()) > 0


def test_several_refs_of_a_dead_task_all_fail() -> None:
    one, other = die.options(num_returns=2).remote("SIGKILL")
    for ref in (one, other):
        with pytest.raises(WorkerCrashedError):
            paralab.get(ref)


def test_what_depends_on_a_dead_task_fails_with_its_error() -> None:
    with pytest.raises(WorkerCrashedError, match="SIGKILL"):
        paralab.get(pid_of.remote(die.remote("SIGKILL")))


@paralab.remote
def pid_of(_value: Any) -> int:
    return os.getpid()


def test_tasks_that_only_waited_are_not_charged(tmp_path: Path) -> None:
    @paralab.remote(max_retries=2)
    def short(number: int, deadly: int) -> int:
        if number == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    paralab.get([short.remote(number, -1) for number in range(200)])  # its time is known now
    for deadly in (0, 37, 199):
        refs = [short.remote(number, deadly) for number in range(200)]
        for number, ref in enumerate(refs):
            if number == deadly:
                with pytest.raises(WorkerCrashedError, match="attempt 3 of 3"):
                    paralab.get(ref)
            else:
                assert paralab.get(ref) == number


def test_without_retries_a_task_runs_at_most_once(tmp_path: Path) -> None:
    @paralab.remote(max_retries=0)
    def write(path: str, number: int, deadly: bool) -> int:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{number}\n".encode())
        os.close(descriptor)
        if deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    path = tmp_path / "ledger"
    paralab.get([write.remote(str(path), -1, False) for _ in range(100)])
    path.unlink()
    refs = [write.remote(str(path), number, number % 50 == 7) for number in range(300)]
    for number, ref in enumerate(refs):
        if number % 50 == 7:
            with pytest.raises(WorkerCrashedError):
                paralab.get(ref)
        else:
            assert paralab.get(ref) == number
    assert sorted(map(int, path.read_text().split())) == list(range(300))


def test_a_dead_worker_leaves_nothing_in_the_store() -> None:
    @paralab.remote(max_retries=0)
    def put_and_die() -> None:
        refs = [paralab.put(bytes(LARGE)) for _ in range(3)]
        assert len(refs) == 3
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(WorkerCrashedError):
        paralab.get(put_and_die.remote())
    eventually(lambda: stored() == 0)


def test_a_worker_that_dies_with_an_argument_gives_it_back() -> None:
    large = paralab.put(bytes(LARGE))
    with pytest.raises(WorkerCrashedError):
        paralab.get(die_holding(large))
    del large
    eventually(lambda: stored() == 0)


def die_holding(large: Any) -> Any:
    @paralab.remote(max_retries=0)
    def holds(_value: Any, _box: list[Any]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    return holds.remote(large, [large])


def test_pending_and_later_calls_of_a_killed_actor_fail(tmp_path: Path) -> None:
    actor = Counter.remote()
    number = paralab.get(actor.pid.remote())
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    running = actor.until.remote(str(fifo))
    pending = [actor.add.remote() for _ in range(20)]
    with open(fifo) as file:
        assert file.readline() == "here\n"
    os.kill(number, signal.SIGKILL)
    for ref in (running, *pending, actor.add.remote()):
        with pytest.raises(ActorDiedError, match=rf"process {number} was killed by .*SIGKILL"):
            paralab.get(ref)
    assert paralab.get(Counter.remote().add.remote()) == 1


def test_another_process_learns_of_an_actors_death() -> None:
    actor = Counter.remote()

    @paralab.remote
    def call(handle: Any) -> int:
        return int(paralab.get(handle.add.remote()))

    assert paralab.get(call.remote(actor)) == 1
    os.kill(paralab.get(actor.pid.remote()), signal.SIGKILL)
    with pytest.raises(ActorDiedError, match="SIGKILL"):
        paralab.get(call.remote(actor))


@pytest.mark.parametrize("text", ["first\nlast words\n", "last words"])
def test_the_error_has_the_last_lines_of_the_error_output(text: str) -> None:
    for raw in (False, True):
        actor = Counter.remote()
        end = actor.write_raw_error_and_die if raw else actor.write_error_and_die
        with pytest.raises(ActorDiedError, match="last words"):
            paralab.get(end.remote(text.encode() if raw else text))
        with pytest.raises(ActorDiedError, match="last words"):
            paralab.get(actor.add.remote())


def test_the_error_output_of_earlier_calls_counts_too() -> None:
    actor = Counter.remote()
    paralab.get(actor.write_error.remote("an early complaint\n"))
    os.kill(paralab.get(actor.pid.remote()), signal.SIGKILL)
    with pytest.raises(ActorDiedError, match="an early complaint"):
        paralab.get(actor.add.remote())


def test_idle_workers_may_be_killed() -> None:
    for _ in range(5):
        victims = {paralab.get(pid.remote())}
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        assert paralab.get(pid.remote()) not in victims


def test_killing_workers_all_the_time_loses_nothing() -> None:
    @paralab.remote(max_retries=-1)
    def square(number: int) -> int:
        return number * number

    refs = []
    for start in range(0, 2_000, 100):
        refs += [square.remote(number) for number in range(start, start + 100)]
        for worker in workers()[:1]:
            kill(worker["pid"])
    assert paralab.get(refs, timeout=100) == [number * number for number in range(2_000)]


def test_nothing_is_held_after_all_this() -> None:
    total = paralab.cluster_resources()
    eventually(lambda: paralab.available_resources() == total)


def node_process() -> int:
    """Pid of the session's node."""
    return int(current()._node_process.pid)


class TestNode:
    """The node is killed; the sessions of these tests are their own."""

    @pytest.fixture(autouse=True)
    def _own(self, session: Any) -> Any:
        paralab.shutdown()
        paralab.init(num_cpus=2)
        yield
        paralab.shutdown()
        paralab.init(num_cpus=2)

    def test_a_get_that_waits_is_told(self, tmp_path: Path) -> None:
        actor = Counter.remote()
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        waiting = actor.until.remote(str(fifo))
        node = node_process()
        with open(fifo) as file:
            assert file.readline() == "here\n"
        worker = workers()[0]["pid"]
        os.kill(node, signal.SIGKILL)
        with pytest.raises(LocalNodeDied, match=r"paralab\.init"):
            paralab.get(waiting, timeout=60)
        assert wait_ended(worker)
        with pytest.raises(LocalNodeDied):
            paralab.get(pid.remote(), timeout=60)
        with pytest.raises(LocalNodeDied):
            paralab.wait([waiting], timeout=60)
        with pytest.raises(LocalNodeDied):
            paralab.available_resources()
        paralab.shutdown()
        paralab.init(num_cpus=1)
        assert paralab.get(pid.remote()) > 0

    def test_what_had_come_before_can_still_be_had(self) -> None:
        small, large = paralab.put(1), paralab.put(bytes(LARGE))
        done = pid.remote()
        paralab.wait([done])
        os.kill(node_process(), signal.SIGKILL)
        assert paralab.get(small) == 1
        assert paralab.get(large) == bytes(LARGE)
        assert paralab.get(done) > 0

    def test_shutdown_after_the_nodes_death_is_quick_and_silent(self, capfd: Any) -> None:
        refs = [pid.remote() for _ in range(100)]
        os.kill(node_process(), signal.SIGKILL)
        paralab.shutdown()
        paralab.shutdown()
        del refs
        assert capfd.readouterr().err == ""

    def test_a_stopped_worker_dies_with_the_node(self) -> None:
        worker = paralab.get(pid.remote())
        os.kill(worker, signal.SIGSTOP)
        os.kill(node_process(), signal.SIGKILL)
        assert wait_ended(worker)


def test_what_is_free_is_told_though_a_holder_of_leases_is_stopped() -> None:
    @paralab.remote
    class Caller:
        def call(self) -> int:
            return paralab.get(pid.remote())

        def pid(self) -> int:
            return os.getpid()

    caller = Caller.remote()
    stopped = paralab.get(caller.pid.remote())
    paralab.get(caller.call.remote())
    os.kill(stopped, signal.SIGSTOP)
    try:
        assert paralab.available_resources()["memory"] > 0
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert paralab.get(caller.call.remote()) > 0


class Deadly:
    """Cannot be pickled where ``mark`` is new: that ends the process."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return (int, (7,))


def test_what_a_dead_attempt_has_stored_is_not_written_over(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    @paralab.remote(num_returns=3)
    def results() -> tuple[Any, ...]:
        # The second attempt's values are longer, and would reach into each other's memory.
        first, second = (3 * LARGE, 2 * LARGE) if mark.exists() else (LARGE, LARGE)
        return b"1" * first, b"2" * second, Deadly(mark)

    before = stored()
    refs = results.remote()
    one, two, last = paralab.get(refs)
    assert (one, two, last) == (b"1" * 3 * LARGE, b"2" * 2 * LARGE, 7)
    del refs, one, two
    eventually(lambda: stored() == before)
