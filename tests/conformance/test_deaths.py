"""Tasks and actors that end badly: which error their callers get, and the words in it."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.slow


class OwnBase(BaseException):
    pass


def recurse(n: int) -> int:
    return recurse(n + 1) + 1


def fail_by(how: str) -> None:
    match how:
        case "BaseException":
            raise BaseException("mine")
        case "OwnBase":
            raise OwnBase("mine")
        case "KeyboardInterrupt":
            raise KeyboardInterrupt
        case "StopIteration":
            raise StopIteration(4)
        case "CancelledError":
            raise asyncio.CancelledError
        case "RecursionError":
            recurse(0)
        case "MemoryError":
            bytearray(1 << 60)


RAISED: dict[str, type[BaseException]] = {
    "OwnBase": OwnBase,
    "StopIteration": StopIteration,
    "CancelledError": asyncio.CancelledError,
    "RecursionError": RecursionError,
    "MemoryError": MemoryError,
}
DEATHS: dict[str, Any] = {
    "sys.exit()": sys.exit,
    "sys.exit(3)": lambda: sys.exit(3),
    "sys.exit(text)": lambda: sys.exit("a reason"),
    "os._exit": lambda: os._exit(7),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
}


def end_by(how: str) -> None:
    DEATHS[how]()


@pytest.fixture
def own_process(rt: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("it would be the end of this process")


@pytest.fixture
def endings_class(rt: Any) -> Any:
    @rt.remote
    class Endings:
        def fail_by(self, how: str) -> None:
            fail_by(how)

        def end_by(self, how: str) -> None:
            end_by(how)

        def pid(self) -> int:
            return os.getpid()

        def ref(self) -> list[Any]:
            return [rt.remote(max_retries=0)(end_by).remote("SIGKILL")]

    return Endings


def error_of(rt: Any, ref: Any) -> Any:
    try:
        rt.get(ref, timeout=60)
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("how", RAISED)
def test_what_a_task_raises_can_be_caught_as_such(rt: Any, how: str, endings_class: Any) -> None:
    actor = endings_class.remote()
    for ref in (rt.remote(fail_by).remote(how), actor.fail_by.remote(how)):
        error = error_of(rt, ref)
        assert isinstance(error, RAISED[how])
        assert isinstance(error, rt.exceptions.RayTaskError)
    assert rt.get(actor.pid.remote()) > 0, "the actor lives on"


def test_a_base_exception_of_no_class_of_its_own(rt: Any) -> None:
    error = error_of(rt, rt.remote(fail_by).remote("BaseException"))
    assert type(error) is rt.exceptions.RayTaskError
    assert str(error.cause) == "mine"


def test_a_keyboard_interrupt_counts_as_cancelled(
    rt: Any, own_process: None, endings_class: Any
) -> None:
    actor = endings_class.remote()
    for ref in (
        rt.remote(fail_by).remote("KeyboardInterrupt"),
        actor.fail_by.remote("KeyboardInterrupt"),
    ):
        error = error_of(rt, ref)
        assert isinstance(error, rt.exceptions.TaskCancelledError)
        assert isinstance(error, rt.exceptions.RayTaskError)
        assert "was cancelled" in str(error)
    assert rt.get(actor.pid.remote()) > 0, "the actor lives on"


@pytest.mark.slow
@pytest.mark.parametrize("how", DEATHS)
def test_a_task_that_ends_its_process(rt: Any, how: str, own_process: None) -> None:
    error = error_of(rt, rt.remote(max_retries=0)(end_by).remote(how))
    assert type(error) is rt.exceptions.WorkerCrashedError
    assert "The worker died unexpectedly while executing this task." in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("how", DEATHS)
def test_an_actor_that_ends_its_process(
    rt: Any, how: str, own_process: None, endings_class: Any
) -> None:
    actor = endings_class.remote()
    pid = rt.get(actor.pid.remote())
    refs = [actor.end_by.remote(how), actor.pid.remote()]
    for ref in refs:
        error = error_of(rt, ref)
        assert type(error) is rt.exceptions.ActorDiedError
        assert isinstance(error, rt.exceptions.RayActorError)
        assert "The actor died unexpectedly before finishing this task." in str(error)
        assert f"\tactor_id: {actor._actor_id.hex()}\n" in str(error)
        assert f"\tpid: {pid}\n" in str(error)
        assert "The actor is dead because its worker process has died." in str(error)


def test_an_actor_that_comes_back(rt: Any, own_process: None, endings_class: Any) -> None:
    actor = endings_class.options(max_restarts=1).remote()
    rt.get(actor.pid.remote())
    error = error_of(rt, actor.end_by.remote("SIGKILL"))
    assert type(error) is rt.exceptions.ActorUnavailableError
    assert f"The actor {actor._actor_id.hex()} is unavailable: " in str(error)
    assert "The task may or may not have been executed on the actor." in str(error)


def test_a_ref_whose_owner_has_died(rt: Any, own_process: None, endings_class: Any) -> None:
    owner = endings_class.remote()
    pid = rt.get(owner.pid.remote())
    (ref,) = rt.get(owner.ref.remote())
    os.kill(pid, signal.SIGKILL)
    error = error_of(rt, ref)
    assert type(error) is rt.exceptions.OwnerDiedError
    assert f"Failed to retrieve object {ref.hex()}." in str(error)
    assert "The object's owner has exited" in str(error)


def test_a_killed_actor(rt: Any, endings_class: Any) -> None:
    actor = endings_class.remote()
    rt.get(actor.pid.remote())
    rt.kill(actor)
    error = error_of(rt, actor.pid.remote())
    assert type(error) is rt.exceptions.ActorDiedError
    assert "The actor is dead because it was killed by" in str(error)


def test_a_finished_result_outlives_its_worker(
    rt: Any, own_process: None, endings_class: Any
) -> None:
    actor = endings_class.remote()
    pids = [actor.pid.remote() for _ in range(20)]
    rt.wait(pids, num_returns=len(pids))
    died = actor.end_by.remote("SIGKILL")
    assert type(error_of(rt, died)) is rt.exceptions.ActorDiedError
    assert len(set(rt.get(pids))) == 1


def test_retries_are_counted(rt: Any, own_process: None, tmp_path: Any) -> None:
    @rt.remote(max_retries=2)
    def die(path: str) -> None:
        with open(path, "a") as file:
            file.write("x")
        os._exit(1)

    path = tmp_path / "attempts"
    assert isinstance(error_of(rt, die.remote(str(path))), rt.exceptions.WorkerCrashedError)
    assert path.read_text() == "xxx"
