"""Memory runs short: who ends, what is tried again, and what the errors say.

The limit is one on our own processes; the machine's memory is never exhausted.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from process_helpers import LARGE, eventually

import paralab
from leak_check import wait_ended
from paralab import limits
from paralab.engine import current
from paralab.exceptions import OutOfMemoryError
from paralab.util import state

pytestmark = pytest.mark.slow

LIMIT = 160_000_000
STEP = 4 << 20
BLOCK = b"x" * STEP


@pytest.fixture
def short(shutdown_after: None) -> Callable[..., Any]:
    """Starts a session whose workers and store may use 160 MB."""

    def start(**more: Any) -> Any:
        given = {"memory_limit_bytes": LIMIT, "task_oom_retry_delay_base_ms": 20, **more}
        return paralab.init(num_cpus=2, _system_config=given)

    return start


@paralab.remote
def eat(size: int = 1 << 40, gate: str = "", log: str = "") -> int:
    """Holds ``size`` bytes until ``gate`` exists; notes its process in ``log``."""
    if log:
        with open(log, "a") as file:
            file.write(f"{os.getpid()}\n")
    held = [bytearray(BLOCK) for _ in range(size // STEP)]
    while gate and not os.path.exists(gate):  # not a pipe: a word in it may go to a dying attempt
        time.sleep(0.005)
    return len(held)


@paralab.remote
class Hungry:
    def pid(self) -> int:
        return os.getpid()

    def eat(self) -> int:
        return len([bytearray(BLOCK) for _ in range(1 << 20)])


def test_a_task_that_eats_all(short: Any) -> None:
    short()
    ok = eat.remote(1)
    with pytest.raises(OutOfMemoryError) as caught:
        paralab.get(eat.remote())
    text = str(caught.value)
    assert "Task eat was killed due to the node running low on memory." in text
    assert "/ 0.16GB limit" in text
    assert "the setting memory_limit_bytes" in text
    assert re.search(r"\ttask (eat|\?)", text), text
    assert "not tried again: nothing else of its caller held much" in text
    assert paralab.get(ok) == 0
    assert paralab.get(eat.remote(STEP)) == 1
    dead = [each for each in state.list_workers(detail=True) if not each.is_alive]
    assert any("running low on memory" in (each.exit_detail or "") for each in dead)


@paralab.remote
class Caller:
    """Its task eats all once it may."""

    def begin(self, gate: str, log: str) -> None:
        def wait_and_eat() -> None:
            Path(log).write_text(f"{os.getpid()}\n")
            while not os.path.exists(gate):
                time.sleep(0.005)
            held = []
            while True:
                held.append(bytearray(BLOCK))

        self.ref = paralab.remote(wait_and_eat).remote()

    def hold(self, gate: str, begun: str) -> None:
        """Waits in C and keeps the GIL: no thread of this process says anything meanwhile."""
        descriptor, byte, read = os.open(gate, os.O_RDWR), bytearray(1), ctypes.PyDLL(None).read
        room = ctypes.c_char.from_buffer(byte)
        Path(begun).touch()
        read(descriptor, ctypes.byref(room), 1)
        os.close(descriptor)

    def why(self) -> str:
        with pytest.raises(OutOfMemoryError) as caught:
            paralab.get(self.ref)
        return str(caught.value)


def test_a_task_whose_caller_does_not_answer_has_no_wrong_name(short: Any, tmp_path: Path) -> None:
    short()
    caller = Caller.options(num_cpus=0).remote()
    gate, log, fifo, begun = (tmp_path / name for name in ("gate", "log", "fifo", "begun"))
    os.mkfifo(fifo)
    paralab.get(caller.begin.remote(str(gate), str(log)))
    eventually(lambda: log.exists() and log.read_text().endswith("\n"))
    held = caller.hold.remote(str(fifo), str(begun))
    eventually(begun.exists)
    try:
        gate.touch()
        assert wait_ended(int(log.read_text()), 60)
    finally:
        fifo.write_text("x")
    paralab.get(held)
    text = paralab.get(caller.why.remote())
    assert "Task wait_and_eat was killed due to the node running low" in text
    assert "MB for task ? (its caller has not said which in time): " in text


SIZE = LIMIT * 6 // 10


class Two:
    """An older and a younger task, of which only one has room; each holds until it is let go."""

    def __init__(self, folder: Path) -> None:
        self._logs = [folder / "older", folder / "younger"]
        self._gates = [str(folder / name) for name in ("gate", "other_gate")]
        self.older, self.younger = self._start(0), self._start(1)

    def _start(self, which: int) -> Any:
        ref = eat.remote(SIZE, self._gates[which], str(self._logs[which]))
        eventually(lambda: self.begun(which))
        return ref

    def begun(self, which: int) -> list[str]:
        """The processes in which one has begun."""
        log = self._logs[which]
        return log.read_text().split() if log.exists() else []

    def let_go(self, which: int) -> None:
        """It goes on when it holds all that it wants, in whichever attempt that is."""
        Path(self._gates[which]).touch()


def test_the_younger_of_two_is_tried_again(short: Any, tmp_path: Path) -> None:
    short()
    two = Two(tmp_path)
    eventually(lambda: len(two.begun(1)) > 1)
    two.let_go(0)
    assert paralab.get(two.older) == SIZE // STEP
    two.let_go(1)
    assert paralab.get(two.younger) == SIZE // STEP
    pids = two.begun(1)
    assert len(set(pids)) == len(pids) > 1
    assert len(two.begun(0)) == 1
    (task,) = state.list_tasks(filters=[("task_id", "=", two.younger.task_id().hex())])
    assert task.attempt_number == len(pids) - 1


@paralab.remote
def creep(size: int, log: str) -> int:
    """Takes a MB at a time; every task does, to those who look often enough."""
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\n")
    held: list[bytearray] = []
    while len(held) < size >> 20:
        held.append(bytearray(BLOCK[: 1 << 20]))
        time.sleep(0.01)
    return len(held)


def test_an_older_task_does_not_end_for_a_younger_one_that_is_small_yet(
    short: Any, tmp_path: Path
) -> None:
    short(memory_limit_bytes=400_000_000)
    gate, first, log = (tmp_path / name for name in ("gate", "older", "younger"))
    older = eat.remote(300_000_000, str(gate), str(first))
    eventually(lambda: first.exists() and first.read_text().endswith("\n"))
    pid = int(first.read_text())
    eventually(lambda: limits.private_memory(pid) > 300_000_000 - STEP)
    younger = creep.remote(120 << 20, str(log))
    eventually(lambda: log.exists() and len(log.read_text().split()) > 1)
    gate.touch()
    assert paralab.get(older) == 300_000_000 // STEP
    assert paralab.get(younger) == 120


def test_limits_of_trying_again(short: Any, tmp_path: Path) -> None:
    short(task_oom_retries=1)
    two = Two(tmp_path)
    with pytest.raises(OutOfMemoryError, match=r"attempt 2, .*: task_oom_retries=1 allows no more"):
        paralab.get(two.younger)
    assert len(two.begun(1)) == 2
    two.let_go(0)
    assert paralab.get(two.older)
    with pytest.raises(OutOfMemoryError, match="max_retries=0; any other number"):
        paralab.get(eat.options(max_retries=0).remote())


def test_a_paused_task_can_be_cancelled(short: Any, tmp_path: Path) -> None:
    short(task_oom_retry_delay_base_ms=60_000)
    two = Two(tmp_path)
    engine: Any = current()
    eventually(lambda: engine.low_memory.paused)
    paralab.cancel(two.younger)
    with pytest.raises(paralab.exceptions.TaskCancelledError):
        paralab.get(two.younger)
    two.let_go(0)
    assert paralab.get(two.older)


def test_the_machines_memory(shutdown_after: None) -> None:
    paralab.init(num_cpus=2, _system_config={"memory_usage_threshold": 0.0})
    with pytest.raises(
        OutOfMemoryError, match=r"threshold of 0; the limit is the (machine|control)"
    ):
        paralab.get(eat.remote(LIMIT // 4, "/nowhere"))


IN_A_GROUP = """
import os, sys, threading
with open(sys.argv[1] + "/cgroup.procs", "w") as file:
    file.write(str(os.getpid()))
import paralab

@paralab.remote
def eat(size):
    held = b"x" * size  # and no more, or the kernel may be quicker than the node
    threading.Event().wait()

paralab.init(num_cpus=1, _system_config={"memory_usage_threshold": 0.6})
try:
    paralab.get(eat.remote(230_000_000))
except paralab.exceptions.OutOfMemoryError as error:
    print(error)
paralab.shutdown()
"""


@pytest.fixture
def group() -> Iterator[str]:
    """The folder of a control group with 400 MB."""
    mount = "/sys/fs/cgroup/memory" if os.path.isdir("/sys/fs/cgroup/memory") else "/sys/fs/cgroup"
    folder = f"{mount}/paralab-test-{os.getpid()}"
    try:
        os.mkdir(folder)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        names = [f"{folder}/{name}" for name in ("memory.limit_in_bytes", "memory.max")]
        found = [name for name in names if os.path.exists(name)]
        if not found:
            pytest.skip("control groups do not limit memory here")
        Path(found[0]).write_text("400000000")
        yield folder
    finally:
        os.rmdir(folder)


def test_a_control_groups_memory(group: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_GROUP, group],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "/ 0.40GB limit" in done.stdout, done.stderr
    assert "threshold of 0.6; the limit is the control group's." in done.stdout


def test_it_can_be_turned_off(short: Any) -> None:
    short(memory_monitor_refresh_ms=0)
    assert paralab.get(eat.remote(LIMIT * 2)) == LIMIT * 2 // STEP


def test_actors(short: Any) -> None:
    short()
    once, again = Hungry.remote(), Hungry.options(max_restarts=1).remote()
    pids = paralab.get([once.pid.remote(), again.pid.remote()])
    with pytest.raises(OutOfMemoryError, match=r"held .* for actor Hungry") as caught:
        paralab.get(once.eat.remote())
    assert "max_restarts allows no more" in str(caught.value)
    with pytest.raises(OutOfMemoryError):
        paralab.get(once.pid.remote())
    pid = paralab.get(again.pid.remote())
    assert pid == pids[1], "who holds little is spared"
    with pytest.raises(paralab.exceptions.ActorUnavailableError, match="running low on memory"):
        paralab.get(again.eat.remote())
    assert paralab.get(again.pid.remote()) != pid


@paralab.remote
def leaves_much_behind() -> int:
    global kept
    kept = [bytearray(BLOCK) for _ in range(LIMIT // 2 // STEP)]
    return os.getpid()


kept: list[bytearray] = []
ALIVE = ("is_alive", "=", "True")
PATIENT = {"memory_monitor_refresh_ms": 1_000}
"""An idle worker has four seconds to answer, in the place of one, before tasks end."""


def test_idle_workers_go_before_tasks(short: Any, tmp_path: Path) -> None:
    short(**PATIENT)
    idle = paralab.get(leaves_much_behind.remote())
    gate = str(tmp_path / "gate")
    # Elsewhere: with the whole of the other worker's resources it needs a process of its own.
    task = eat.options(runtime_env={"env_vars": {"OF_ITS": "OWN"}}).remote(LIMIT // 2, gate)
    eventually(lambda: not state.list_workers(filters=[("pid", "=", idle), ALIVE]))
    Path(gate).touch()
    assert paralab.get(task)
    (gone,) = state.list_workers(filters=[("pid", "=", idle)], detail=True)
    assert gone.exit_detail is not None
    assert "memory" not in gone.exit_detail


@paralab.remote
def leaves_much_behind_and_does_not_end() -> int:
    global kept
    kept = [bytearray(BLOCK) for _ in range(LIMIT // 2 // STEP)]
    atexit.register(threading.Event().wait)
    return os.getpid()


def test_idle_workers_that_do_not_end_go_before_tasks(short: Any, tmp_path: Path) -> None:
    short(**PATIENT)
    idle = paralab.get(leaves_much_behind_and_does_not_end.remote())
    gate = str(tmp_path / "gate")
    task = eat.options(runtime_env={"env_vars": {"OF_ITS": "OWN"}}).remote(LIMIT // 2, gate)
    eventually(lambda: not state.list_workers(filters=[("pid", "=", idle), ALIVE]))
    Path(gate).touch()
    assert paralab.get(task) == LIMIT // 2 // STEP
    (gone,) = state.list_workers(filters=[("pid", "=", idle)], detail=True)
    assert "had no work, was to make room, and took too long to end" in str(gone.exit_detail)


def test_what_the_store_does_not_need_goes_first(short: Any) -> None:
    short()
    half = bytes(LIMIT // 2)
    ref = paralab.put(half)
    del ref
    engine: Any = current()
    eventually(lambda: engine.info("store")["objects"] == 0)
    assert paralab.get(eat.remote(SIZE))


def test_a_limit_of_the_process_is_an_exception(runtime: Any) -> None:
    @paralab.remote
    def limited() -> str:
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 20, before[1]))
        try:
            bytes(1 << 32)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
        return "enough"

    with pytest.raises(MemoryError) as caught:
        paralab.get(limited.remote())
    assert isinstance(caught.value, paralab.exceptions.TaskError)
    assert len(paralab.get(paralab.remote(lambda: bytes(LARGE)).remote())) == LARGE


def test_workers_offer_themselves_to_the_kernel(runtime: Any) -> None:
    @paralab.remote
    def score() -> str:
        return Path("/proc/self/oom_score_adj").read_text().strip()

    assert paralab.get(score.remote()) == "1000"
