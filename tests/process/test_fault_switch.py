"""The fault switch in a session of processes: what it does, and that the program does not mind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import paralab
from leak_check import wait_ended
from paralab.engine import current
from paralab.exceptions import LocalNodeDied, WorkerCrashedError
from paralab.faults.connection import FaultyConnection, mark
from paralab.transport.connection import Connection

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shutdown_after")]


@paralab.remote
def square(number: int) -> int:
    return number * number


@paralab.remote(max_retries=0)
def pid() -> int:
    return os.getpid()


@paralab.remote
class Log:
    def __init__(self) -> None:
        self.lines: list[int] = []

    def add(self, number: int) -> int:
        self.lines.append(number)
        return os.getpid()

    def all(self) -> list[int]:
        return self.lines


def begin(faults: str) -> None:
    paralab.init(num_cpus=2, _system_config={"faults": faults})


def has_acted(rule: int = 0) -> bool:
    return (Path(current().welcome["info"]["session_dir"]) / mark(rule)).exists()


def test_it_is_off_by_default() -> None:
    paralab.init(num_cpus=2)
    links = current().links
    assert paralab.get(square.remote(3)) == 9
    connections = [links.node.connection, *(link.connection for link in links.peers.values())]
    assert {type(connection) for connection in connections} == {Connection}


@pytest.mark.parametrize(
    "rule",
    [
        "lose PEER",
        "double LEASED",
        "delay CALL",
        "cut RESULT",
        "cut READY",
        "cut WELCOME to=worker",
    ],
)
def test_tasks_come_to_the_same_end(rule: str) -> None:
    begin(rule)
    assert isinstance(current().links.node.connection, FaultyConnection)
    assert paralab.get([square.remote(number) for number in range(20)]) == [
        number * number for number in range(20)
    ]
    assert has_acted()


@pytest.mark.parametrize("action", ["lose", "cut"])
def test_calls_of_an_actor_keep_their_order_and_run_once(action: str) -> None:
    begin(f"{action} CALL nth=5; {action} RESULT nth=7")
    log = Log.remote()
    pids = paralab.get([log.add.remote(number) for number in range(30)])
    assert len(set(pids)) == 1, "a broken connection is no death"
    assert paralab.get(log.all.remote()) == list(range(30))
    assert has_acted(0)
    assert has_acted(1)


def test_everything_suffers_by_chance() -> None:
    begin(
        "lose ANY chance=0.1 seed=1; double ANY chance=0.1 seed=2; "
        "delay ANY chance=0.1 seconds=0.05; cut ANY chance=0.02 seed=3"
    )
    log = Log.remote()
    refs = [square.remote(number) for number in range(60)]
    adds = [log.add.remote(number) for number in range(20)]
    assert sum(paralab.get(refs)) == sum(number * number for number in range(60))
    assert len(set(paralab.get(adds))) == 1
    assert paralab.get(log.all.remote()) == list(range(20))
    assert all(map(has_acted, range(3)))


@pytest.mark.parametrize("rule", ["delay SURROUND from=node", "delay SURROUND from=driver to=node"])
def test_an_older_move_of_the_driver_does_not_replace_a_newer(
    rule: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(Path.cwd())
    home = os.getcwd()
    begin(f"{rule} chance=1 seconds=0.5")
    for folder in (str(tmp_path), home):
        os.chdir(folder)
        task = paralab.remote(lambda: os.getcwd())  # a new one, so that the move is noticed
        end = time.monotonic() + (0.3 if folder != home else 1.0)
        while time.monotonic() < end:  # meanwhile what the node passes on comes in
            assert paralab.get([task.remote(), task.remote()]) == [folder] * 2


def test_a_rule_acts_once_in_a_session_whatever_dies() -> None:
    begin("kill CALL at=receive nth=2")
    assert all(paralab.get([pid.options(max_retries=1).remote() for _ in range(10)]))
    assert has_acted()
    assert all(paralab.get([pid.remote() for _ in range(10)])), "nobody dies any more"


def test_kill_the_sender() -> None:
    begin("kill RESULT from=worker")
    with pytest.raises(WorkerCrashedError, match="SIGKILL"):
        paralab.get(pid.remote())
    assert paralab.get(pid.remote()) > 0


def test_kill_the_node() -> None:
    begin("kill LEASED")
    with pytest.raises(LocalNodeDied):
        paralab.get(square.remote(2))


def test_kill_the_driver() -> None:
    program = (
        "import paralab; paralab.init(num_cpus=1)\n"
        "paralab.get(paralab.remote(lambda: 1).remote())\n"
        "print('it lives')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PARALAB_FAULTS": "kill RESULT at=receive to=driver"},
        capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout == b""


def test_a_worker_that_dies_with_a_broken_connection_is_missed() -> None:
    begin("cut RESULT from=worker; kill CALL at=receive nth=3")
    refs = [pid.options(max_retries=3).remote() for _ in range(8)]
    assert all(paralab.get(refs))
    assert has_acted(1)


def test_the_driver_comes_back_by_the_door() -> None:
    begin("cut ANY from=driver to=node nth=3; cut ANSWER to=driver nth=2")
    for number in range(5):
        assert paralab.get(square.remote(number)) == number * number
        assert paralab.cluster_resources()["CPU"] == 2
    assert has_acted(0)
    assert has_acted(1)


def test_a_driver_that_joins_speaks_as_the_node_does(tmp_path: Path) -> None:
    begin("lose ANSWER nth=every")
    program = (
        "import paralab; paralab.init(address='auto')\n"
        "assert paralab.get(paralab.remote(lambda: 41).remote()) == 41\n"
        "print(paralab.cluster_resources()['CPU'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout.strip() == "2.0", done.stderr


def test_a_driver_that_joins_brings_no_rules_of_its_own() -> None:
    with pytest.raises(ValueError, match="_system_config must not be provided"):
        paralab.init(address="unix:/nowhere", _system_config={"faults": "lose RESULT"})


def test_the_end_of_a_session_does_not_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paralab.process.driver.END_SECONDS", 100.0)  # if STOP never came
    begin("lose STOP")
    assert paralab.get(square.remote(2)) == 4
    node = current()._node_process.pid
    before = time.monotonic()
    paralab.shutdown()
    assert wait_ended(node, 0)
    assert time.monotonic() - before < 60


def test_a_folder_that_is_gone_makes_the_switch_harmless(tmp_path: Path) -> None:
    from paralab.faults.connection import FaultSwitch

    switch = FaultSwitch()
    switch.load("kill ANY", "worker", 1, str(tmp_path / "nowhere"))
    fault: Any = switch.fault(3, "worker", "node")
    assert fault is None


def test_a_driver_whose_welcome_is_cut_gets_no_session() -> None:
    with pytest.raises(LocalNodeDied):
        begin("cut WELCOME to=driver")
    assert not paralab.is_initialized()
    begin("double WELCOME to=driver")
    assert paralab.get(square.remote(3)) == 9
