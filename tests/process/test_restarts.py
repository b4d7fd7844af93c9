"""Actors that outlive a process, theirs or their creator's, with what their constructors took."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from process_helpers import LARGE, eventually, stored

import paralab
from paralab.engine import current
from paralab.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    OwnerDiedError,
    TaskCancelledError,
)
from paralab.util import list_named_actors

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]


@paralab.remote
class Keeper:
    """Keeps what its constructor got."""

    def __init__(self, value: Any = None, box: Any = None) -> None:
        self.value = value
        self.box = box
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count

    def total(self) -> Any:
        return self.value.sum()

    def inside(self) -> Any:
        return paralab.get(self.box[0])

    def pid(self) -> int:
        return os.getpid()

    def say(self, path: str) -> None:
        """Says that it runs, and goes on until it is killed."""
        Path(path).write_text("here")
        while True:
            signal.pause()

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def make(self, name: str, **options: Any) -> Any:
        """An actor whose owner is this one."""
        self.made = Keeper.options(name=name, **options).remote(np.ones(LARGE), [paralab.put(5)])
        return paralab.get(self.made.pid.remote())


def die(actor: Any) -> None:
    with pytest.raises((ActorUnavailableError, ActorDiedError)):
        paralab.get(actor.die.remote())


def until_it_fails(actor: Any) -> None:
    while True:
        paralab.get(actor.add.remote())


def successor(actor: Any, pid: int) -> int:
    """The process of an actor after ``pid``, which was sent SIGKILL."""
    while True:
        try:
            if (found := paralab.get(actor.pid.remote())) != pid:
                return int(found)
        except ActorUnavailableError:
            pass  # the call went to the one that was about to die


def is_named(name: str) -> bool:
    return name in list_named_actors()


@pytest.fixture(autouse=True)
def at_rest() -> Any:
    """After each test the node has everything back."""
    yield
    total = paralab.cluster_resources()
    eventually(lambda: paralab.available_resources() == total)
    eventually(lambda: not stored())
    eventually(lambda: not list_named_actors(all_namespaces=True))


@pytest.mark.parametrize("by_ref", [False, True])
def test_large_arguments_are_there_again(by_ref: bool) -> None:
    ones = np.ones(LARGE)
    actor = Keeper.options(max_restarts=2).remote(paralab.put(ones) if by_ref else ones)
    for _ in range(3):
        assert paralab.get(actor.total.remote()) == LARGE
        die(actor)
    with pytest.raises(ActorDiedError, match=r"SIGKILL.*\n*.*restarted 2 times \(max_restarts=2\)"):
        paralab.get(actor.total.remote())


def test_refs_inside_arguments_are_held() -> None:
    actor = Keeper.options(max_restarts=2).remote(None, [paralab.put(np.full(LARGE, 2))])
    for _ in range(3):
        assert paralab.get(actor.inside.remote())[0] == 2
        die(actor)


def test_refs_that_a_class_has_captured_are_held() -> None:
    box = [paralab.put(np.full(LARGE, 3))]

    @paralab.remote(max_restarts=2)
    class Captures(Keeper.__wrapped__):  # type: ignore[misc,name-defined]
        def captured(self) -> Any:
            return paralab.get(box[0])

    actor = Captures.remote()
    box = []
    for _ in range(3):
        assert paralab.get(actor.captured.remote())[0] == 3
        die(actor)
    del Captures


def test_a_constructor_waits_for_its_inputs(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    @paralab.remote
    def later() -> Any:
        return np.full(LARGE, int(fifo.read_text()))

    actor = Keeper.options(max_restarts=1, name="waits").remote(later.remote())
    total = actor.total.remote()
    assert paralab.get_actor("waits") == actor
    fifo.write_text("2")
    assert paralab.get(total) == 2 * LARGE
    die(actor)
    assert paralab.get(actor.total.remote()) == 2 * LARGE


@pytest.mark.parametrize("options", [{}, {"max_restarts": 1}, {"name": "unlucky"}])
def test_a_constructor_whose_input_fails(options: dict[str, Any]) -> None:
    @paralab.remote
    def fails() -> None:
        raise OSError("no such luck")

    actor = Keeper.options(**options).remote(fails.remote())
    with pytest.raises(ActorDiedError, match="no such luck") as caught:
        paralab.get(actor.add.remote(), timeout=60)
    assert caught.value.actor_init_failed


def test_a_killed_actor_loses_no_call_that_may_be_sent_again() -> None:
    actor = Keeper.options(max_restarts=-1, max_task_retries=-1).remote()

    @paralab.remote
    def call(handle: Any, times: int) -> list[int]:
        return [paralab.get(handle.add.remote()) for _ in range(times)]

    others = [call.remote(actor, 200) for _ in range(2)]
    for _ in range(4):
        refs = [actor.add.remote() for _ in range(300)]
        os.kill(paralab.get(actor.pid.remote()), signal.SIGKILL)
        counts = paralab.get(refs)
        fresh = [a for a, b in pairwise(counts) if b < a]
        assert len(fresh) <= 1, "in order, but for the new start"
    for counts in paralab.get(others):
        assert len(counts) == 200


def test_every_call_settles_once_if_none_may_be_sent_again() -> None:
    actor = Keeper.options(max_restarts=-1).remote()
    pid = paralab.get(actor.pid.remote())
    for _ in range(4):
        refs = [actor.add.remote() for _ in range(300)]
        os.kill(pid, signal.SIGKILL)
        ready, rest = paralab.wait(refs, num_returns=len(refs), timeout=60)
        assert not rest
        for ref in ready:
            with suppress(ActorUnavailableError):
                paralab.get(ref)
        pid = successor(actor, pid)


def test_kill_returns_when_the_process_is_gone() -> None:
    actor = Keeper.options(max_restarts=2).remote()
    for _ in range(2):
        assert paralab.get(actor.add.remote()) == 1
        paralab.kill(actor, no_restart=False)
    assert paralab.get(actor.add.remote()) == 1
    paralab.kill(actor, no_restart=False)
    with pytest.raises(ActorDiedError, match=r"killed by `paralab.kill`.*restarted 2 times"):
        paralab.get(actor.add.remote())


def test_a_constructor_that_kills_its_process(tmp_path: Path) -> None:
    @paralab.remote(max_restarts=2)
    class Fragile:
        def __init__(self) -> None:
            with open(tmp_path / "lives", "a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)

        def hello(self) -> None: ...

    actor = Fragile.remote()
    with pytest.raises(ActorDiedError, match="SIGKILL"):
        paralab.get(actor.hello.remote())
    assert (tmp_path / "lives").read_text() == "xxx"


def test_the_last_handle_ends_an_actor_that_could_be_restarted() -> None:
    actor = Keeper.options(max_restarts=-1, name="ends").remote()
    pid = paralab.get(actor.pid.remote())
    del actor
    eventually(lambda: not is_named("ends"))
    eventually(lambda: all(worker["pid"] != pid for worker in current().info("workers")))


def test_an_actor_ends_with_its_owner() -> None:
    owner = Keeper.remote()
    paralab.get(owner.make.remote("owned", max_restarts=-1))
    found = paralab.get_actor("owned")
    assert paralab.get(found.add.remote()) == 1
    os.kill(paralab.get(owner.pid.remote()), signal.SIGKILL)
    with pytest.raises(
        ActorDiedError, match=r"its owner has died\. The worker process \d+ was killed"
    ):
        until_it_fails(found)
    assert not is_named("owned")


def test_a_detached_actor_outlives_its_owner_and_is_restarted(tmp_path: Path) -> None:
    owner = Keeper.remote()
    pid = paralab.get(owner.make.remote("free", max_restarts=-1, lifetime="detached"))
    os.kill(paralab.get(owner.pid.remote()), signal.SIGKILL)
    with pytest.raises(ActorDiedError):
        paralab.get(owner.add.remote())
    found = paralab.get_actor("free")
    assert paralab.get(found.pid.remote()) == pid
    assert paralab.get(found.total.remote()) == LARGE, "large arguments do not go with the owner"
    with pytest.raises(OwnerDiedError):
        paralab.get(found.inside.remote())
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    running = found.say.remote(str(fifo))
    fifo.read_text()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ActorUnavailableError, match="is unavailable") as caught:
        paralab.get(running)
    assert caught.value.actor_id == found._actor_id.hex()
    assert paralab.get(found.total.remote()) == LARGE
    paralab.kill(found)


def test_resources_move_with_the_actor() -> None:
    actor = Keeper.options(max_restarts=1, num_cpus=2).remote()
    for _ in range(2):
        assert paralab.get(actor.add.remote()) == 1
        assert paralab.available_resources().get("CPU", 0) == 0
        die(actor)


def test_a_cancelled_call_is_not_sent_again(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    actor = Keeper.options(max_restarts=1, max_task_retries=-1).remote()
    pid = paralab.get(actor.pid.remote())
    running = actor.say.remote(str(fifo))
    fifo.read_text()
    paralab.cancel(running)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(TaskCancelledError):
        paralab.get(running)
    assert paralab.get(actor.add.remote()) == 1


@pytest.mark.parametrize("waits", ["for a place", "for a call"])
def test_an_actor_that_is_killed_while_it_waits(waits: str) -> None:
    holder = Keeper.options(num_cpus=2).remote()
    paralab.get(holder.add.remote())
    actor = Keeper.options(num_cpus=1, max_restarts=1, name="waiting").remote()
    call = actor.add.remote()
    if waits == "for a call":
        paralab.kill(holder)
        assert paralab.get(call) == 1
        call = actor.add.remote()
    paralab.kill(actor, no_restart=False)
    paralab.kill(actor)
    paralab.kill(actor)
    ready, _rest = paralab.wait([call], timeout=60)
    assert ready
    with pytest.raises(ActorDiedError, match=r"killed by `paralab\.kill`"):
        paralab.get(actor.add.remote())
    assert not is_named("waiting")


def test_an_interrupt_while_a_name_is_asked_for_frees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    core: Any = current()
    ask = core.ask

    def interrupted(*question: Any) -> None:
        ask(*question)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(core, "ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Keeper.options(name="mine").remote()
    eventually(lambda: not is_named("mine"))
    actor = Keeper.options(name="mine").remote()
    assert paralab.get(actor.add.remote()) == 1


def test_prints_of_a_kept_actor_reach_the_driver(capsys: pytest.CaptureFixture[str]) -> None:
    @paralab.remote(name="speaker")
    class Speaker:
        def __init__(self) -> None:
            sys.stdout.write("I am born\n")

        def hello(self) -> None: ...

    speaker = Speaker.remote()
    paralab.get(speaker.hello.remote())
    eventually(lambda: "I am born" in capsys.readouterr().out)


class TestSessionsOfTheirOwn:
    """What waits when the session ends."""

    @pytest.fixture(autouse=True)
    def at_rest(self) -> None:
        """Nothing is asked of a session that is over."""

    def test_shutdown_while_a_restart_waits(self, shutdown_after: None) -> None:
        paralab.shutdown()
        paralab.init(num_cpus=2)
        actor = Keeper.options(max_restarts=-1, num_cpus=2).remote()
        pid = paralab.get(actor.pid.remote())
        other = Keeper.options(num_cpus=1).remote()
        taken = other.pid.remote()
        paralab.available_resources()  # the node answers in turn: now it knows what was asked for
        os.kill(pid, signal.SIGKILL)
        assert paralab.get(taken) != pid, "it was asked for before the new start"
        refs = [actor.add.remote() for _ in range(10)]
        paralab.shutdown()
        assert len(refs) == 10
