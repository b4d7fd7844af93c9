"""What callers are told of a death: who died, how, in which attempt, and what would have helped."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from process_helpers import LARGE

import paralab
from leak_check import wait_ended
from paralab.engine import current
from paralab.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    LocalNodeDied,
    OwnerDiedError,
    TaskError,
    WorkerCrashedError,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]
WORDS = "The last lines of its error output:\nlast words\n"


@paralab.remote(max_retries=2)
def die() -> None:
    sys.stderr.write("last words\n")
    os.kill(os.getpid(), signal.SIGKILL)


@paralab.remote
class Mortal:
    def __init__(self, die_at_once: bool = False) -> None:
        if die_at_once:
            os._exit(5)

    def pid(self) -> int:
        return os.getpid()

    def die(self, gate: str = "") -> None:
        if gate:
            Path(gate).read_text()
        sys.stderr.write("last words\n")
        os.kill(os.getpid(), signal.SIGKILL)

    def refs(self) -> list[Any]:
        return [paralab.put([1]), die.options(max_retries=0).remote()]

    def large(self) -> bytes:
        return bytes(LARGE)

    def hold(self) -> None:
        while True:
            signal.pause()

    def fails(self) -> None:
        raise KeyError("mine")


def text_of(kind: type[Exception], ref: Any) -> str:
    with pytest.raises(kind) as caught:
        paralab.get(ref, timeout=60)
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_task_that_ends_with_its_worker() -> None:
    text = text_of(WorkerCrashedError, die.remote())
    assert re.fullmatch(
        r"The worker died unexpectedly while executing this task\. Task die failed: "
        r"The worker process \d+ was killed by signal 9 \(SIGKILL\)\. "
        r"This was attempt 3 of 3; max_retries=2 allows no more\. " + WORDS + r"Likely causes: .*",
        text,
        re.DOTALL,
    )


def test_an_actor_without_restarts(tmp_path: Path) -> None:
    actor = Mortal.remote()
    pid = paralab.get(actor.pid.remote())
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    running, behind = actor.die.remote(str(gate)), actor.pid.remote()
    paralab.available_resources()  # asked behind both calls, so these have been sent
    gate.write_text("")
    for ref, call in ((running, "Mortal.die"), (behind, "Mortal.pid")):
        text = text_of(ActorDiedError, ref)
        assert text.startswith("The actor died unexpectedly before finishing this task.\n")
        assert (
            f"\n\tclass_name: Mortal\n\tactor_id: {actor._actor_id.hex()}\n\tpid: {pid}\n" in text
        )
        assert (
            f"The actor is dead because its worker process has died. The worker process {pid} "
            f"was killed by signal 9 (SIGKILL). The call of {call} was under way and may have "
            f"run; it was attempt 1 of 1 (max_task_retries=0). {WORDS}"
        ) in text
    later = text_of(ActorDiedError, actor.pid.remote())
    assert f"was killed by signal 9 (SIGKILL). {WORDS}" in later
    assert "under way" not in later


def test_an_actor_that_is_started_again() -> None:
    actor = Mortal.options(max_restarts=2).remote()
    pid = paralab.get(actor.pid.remote())
    text = text_of(ActorUnavailableError, actor.die.remote())
    assert text.startswith(
        f"The actor {actor._actor_id.hex()} is unavailable: it is being restarted. The worker "
        f"process {pid} was killed by signal 9 (SIGKILL). The task may or may not have been "
        f"executed on the actor. This was attempt 1 of 1; max_task_retries=0 allows no more.\n"
        f"{WORDS}"
    )
    assert paralab.get(actor.pid.remote()) != pid


def test_an_actor_that_has_used_its_restarts() -> None:
    actor = Mortal.options(max_restarts=1, max_task_retries=2).remote()
    text = text_of(ActorDiedError, actor.die.remote())
    assert "It was restarted once (max_restarts=1)." in text
    assert "it was attempt 2 of 3 (max_task_retries=2)." in text
    assert text.index("attempt 2") < text.index("last words")


def test_a_constructor_that_ends_its_process() -> None:
    text = text_of(ActorDiedError, Mortal.remote(die_at_once=True).pid.remote())
    assert "its worker process has died. The worker process " in text
    assert "exited with code 5." in text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (BaseException("mine"), "BaseException: mine"),
        (MemoryError("mine"), "MemoryError: mine"),
        (SystemExit(6), "exited with code 6"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_constructor_that_raises(error: BaseException, said: str, concurrency: int) -> None:
    @paralab.remote(max_concurrency=concurrency)
    class Fails:
        def __init__(self) -> None:
            raise error

        def method(self) -> None:
            pass

    actor = Fails.remote()
    for _ in range(2):
        assert said in text_of(ActorDiedError, actor.method.remote())


def test_an_owner_that_has_died() -> None:
    owner = Mortal.remote()
    pid = paralab.get(owner.pid.remote())
    refs = paralab.get(owner.refs.remote())
    os.kill(pid, signal.SIGKILL)
    assert wait_ended(pid)
    for ref in refs:
        text = text_of(OwnerDiedError, ref)
        assert f"Failed to retrieve object {ref.hex()}." in text
        assert f"The worker process {pid} was killed by signal 9 (SIGKILL)." in text
        assert "The object's owner has exited" in text


def test_what_had_ended_before_the_crash_is_not_lost() -> None:
    for _ in range(5):
        actor = Mortal.remote()
        paralab.get(actor.pid.remote())
        before = [actor.pid.remote() for _ in range(5)]
        last = actor.die.remote()
        assert len(set(paralab.get(before))) == 1
        text_of(ActorDiedError, last)


def test_results_outlive_their_actor_and_its_owner() -> None:
    @paralab.remote
    class Owner:
        def make(self) -> int:
            self.actor = Mortal.options(name="owned").remote()
            return os.getpid()

    owner = Owner.remote()
    pid = paralab.get(owner.make.remote())
    actor = paralab.get_actor("owned")
    refs = [actor.large.remote(), actor.large.remote(), actor.pid.remote()]
    paralab.wait(refs, num_returns=3)
    os.kill(pid, signal.SIGKILL)
    text = text_of(ActorDiedError, actor.hold.remote())
    assert f"its owner has died. The worker process {pid} was killed" in text
    assert paralab.get(refs[0]) == paralab.get(refs[1]) == bytes(LARGE)
    assert paralab.get(refs[2]) > 0


def test_an_error_that_was_tried_again_says_how_often() -> None:
    @paralab.remote(max_retries=2, retry_exceptions=[KeyError])
    def fails(kind: type[Exception]) -> None:
        raise kind("mine")

    for kind, attempt in ((KeyError, 3), (ValueError, 1)):
        with pytest.raises(TaskError, match=f"attempt {attempt} of 3 \\(max_retries=2, ") as caught:
            paralab.get(fails.remote(kind))
        assert isinstance(caught.value, kind)
    actor = Mortal.remote()
    method = actor.fails.options(max_task_retries=1, retry_exceptions=True)
    with pytest.raises(KeyError, match=r"attempt 2 of 2 \(max_task_retries=1, "):
        paralab.get(method.remote())
    with pytest.raises(KeyError) as once:
        paralab.get(actor.fails.remote())
    assert "attempt" not in str(once.value)


def test_a_node_that_was_killed(tmp_path: Path) -> None:
    paralab.shutdown()
    paralab.init(num_cpus=1)
    try:
        node = current()._node_process.pid
        os.kill(node, signal.SIGKILL)
        text = text_of(LocalNodeDied, die.remote())
        assert text.startswith(f"The node process {node} was killed by signal 9 (SIGKILL).\n")
        assert "paralab.init()" in text
    finally:
        paralab.shutdown()
        paralab.init(num_cpus=2)
