"""Actors whose process ends: what is started again, and what becomes of the calls."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def own_process(rt: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("an actor here has no process of its own")


@pytest.fixture
def mortal_class(rt: Any) -> Any:
    @rt.remote
    class Mortal:
        def __init__(self, start: Any = 0) -> None:
            self.count = start

        def add(self) -> Any:
            self.count += 1
            return self.count

        def die(self) -> None:
            os._exit(1)

        def is_second_life(self) -> bool:
            return bool(rt.get_runtime_context().was_current_actor_reconstructed)

        def leave(self) -> None:
            rt.actor.exit_actor()

        def die_once(self, mark: str) -> str:
            if not os.path.exists(mark):
                Path(mark).touch()
                os._exit(1)
            return "lived"

        def fail_until(self, mark: str, attempts: int) -> int:
            with open(mark, "a") as file:
                file.write("x")
            made = os.path.getsize(mark)
            if made < attempts:
                raise KeyError(made)
            return made

    return Mortal


def when_back(rt: Any, call: Any) -> Any:
    """The answer of ``call`` once the actor can be reached again."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return rt.get(call.remote())
        except rt.exceptions.ActorUnavailableError:
            assert time.monotonic() < deadline


@pytest.mark.usefixtures("own_process")
def test_a_new_process_with_the_same_arguments(rt: Any, mortal_class: Any) -> None:
    start = rt.put(10)  # Ray forgets it before the second life if nobody else holds it
    actor = mortal_class.options(max_restarts=1).remote(start)
    assert rt.get(actor.add.remote()) == 11
    assert not rt.get(actor.is_second_life.remote())
    with pytest.raises(rt.exceptions.ActorUnavailableError, match="is unavailable"):
        rt.get(actor.die.remote())
    assert when_back(rt, actor.add) == 11
    assert rt.get(actor.is_second_life.remote())
    with pytest.raises(rt.exceptions.ActorDiedError, match="The actor died unexpectedly"):
        rt.get(actor.die.remote())
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(actor.add.remote())


@pytest.mark.usefixtures("own_process")
def test_without_restarts_it_is_dead(rt: Any, mortal_class: Any) -> None:
    actor = mortal_class.remote()
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(actor.die.remote())
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(actor.add.remote())


@pytest.mark.usefixtures("own_process")
def test_calls_are_sent_again(rt: Any, mortal_class: Any, tmp_path: Path) -> None:
    actor = mortal_class.options(max_restarts=1, max_task_retries=1).remote()
    assert rt.get(actor.die_once.remote(str(tmp_path / "mark"))) == "lived"
    assert rt.get(actor.add.remote()) == 1


@pytest.mark.usefixtures("own_process")
def test_several_calls_are_sent_again(rt: Any, mortal_class: Any, tmp_path: Path) -> None:
    actor = mortal_class.options(max_restarts=-1, max_task_retries=-1).remote()
    assert rt.get(actor.add.remote()) == 1
    first = actor.die_once.remote(str(tmp_path / "mark"))
    rest = [actor.add.remote() for _ in range(20)]
    assert rt.get(first) == "lived"
    answers = rt.get(rest)
    assert sorted(answers) == list(range(1, 21))
    if rt.engine == "processes":  # Ray sends them in any order
        assert answers == list(range(1, 21))


@pytest.mark.usefixtures("own_process")
def test_a_deadly_call_is_not_sent_for_ever(rt: Any, mortal_class: Any) -> None:
    actor = mortal_class.options(max_restarts=5, max_task_retries=1).remote()
    with pytest.raises(rt.exceptions.ActorUnavailableError):
        rt.get(actor.die.remote())
    assert when_back(rt, actor.add) == 1


@pytest.mark.usefixtures("own_process")
def test_a_method_says_how_often(rt: Any, mortal_class: Any, tmp_path: Path) -> None:
    actor = mortal_class.options(max_restarts=3).remote()
    call = actor.die_once.options(max_task_retries=-1)  # Ray spends some until it is back
    assert rt.get(call.remote(str(tmp_path / "mark"))) == "lived"


def test_exceptions_are_retried_where_asked(rt: Any, mortal_class: Any, tmp_path: Path) -> None:
    actor = mortal_class.options(max_task_retries=2).remote()
    every, listed, plain, other = (str(tmp_path / name) for name in "abcd")
    call = actor.fail_until.options(retry_exceptions=True)
    assert rt.get(call.remote(every, 3)) == 3
    call = actor.fail_until.options(retry_exceptions=[KeyError])
    assert rt.get(call.remote(listed, 3)) == 3
    with pytest.raises(KeyError):
        rt.get(actor.fail_until.remote(plain, 2))
    call = actor.fail_until.options(retry_exceptions=[OSError])
    with pytest.raises(KeyError):
        rt.get(call.remote(other, 2))
    with pytest.raises(KeyError):
        rt.get(actor.fail_until.options(retry_exceptions=True).remote(str(tmp_path / "e"), 9))
    assert os.path.getsize(tmp_path / "e") == 3


def test_exit_actor_is_no_reason_for_a_restart(rt: Any, mortal_class: Any) -> None:
    actor = mortal_class.options(max_restarts=-1, max_task_retries=-1).remote()
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(actor.leave.remote())
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(actor.add.remote())


@pytest.mark.usefixtures("own_process")
def test_kill_may_leave_the_restarts(rt: Any, mortal_class: Any) -> None:
    actor = mortal_class.options(max_restarts=1).remote()
    assert rt.get(actor.add.remote()) == 1
    assert rt.get(actor.add.remote()) == 2
    rt.kill(actor, no_restart=False)
    while when_back(rt, actor.add) != 1:  # Ray says that it is done before it is
        pass
    rt.kill(actor)
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(actor.add.remote())


def test_a_constructor_that_raises_is_the_end(rt: Any) -> None:
    @rt.remote(max_restarts=3)
    class Stillborn:
        def __init__(self) -> None:
            raise OSError("no life")

        def hello(self) -> None: ...

    actor = Stillborn.remote()
    with pytest.raises(rt.exceptions.ActorDiedError, match="no life") as caught:
        rt.get(actor.hello.remote())
    assert "error raised in its creation task" in str(caught.value)


@pytest.mark.usefixtures("own_process")
def test_a_kill_before_it_has_started_uses_a_restart(rt: Any, mortal_class: Any) -> None:
    holder = mortal_class.options(num_cpus=rt.cluster_resources()["CPU"]).remote()
    assert rt.get(holder.add.remote()) == 1
    actor = mortal_class.options(num_cpus=1, max_restarts=1).remote()  # there is no place for it
    rt.kill(actor, no_restart=False)
    rt.kill(holder)
    assert when_back(rt, actor.add) == 1
    rt.kill(actor, no_restart=False)
    deadline = time.monotonic() + 60  # Ray answers some calls that come behind a kill
    with pytest.raises(rt.exceptions.ActorDiedError):  # noqa: PT012 - which of them, it says not
        while time.monotonic() < deadline:
            rt.get(actor.add.remote())


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("at_once", [1, 2])
def test_an_exit_code_says_whether_it_is_started_again(rt: Any, at_once: int) -> None:
    @rt.remote(max_restarts=1, max_concurrency=at_once)
    class Leaving:
        def leave(self, code: int | None) -> None:
            raise SystemExit(code)

        def ping(self) -> str:
            return "pong"

    for code in (1, None):
        actor = Leaving.remote()
        with pytest.raises(rt.exceptions.ActorUnavailableError):
            rt.get(actor.leave.remote(code))
        assert when_back(rt, actor.ping) == "pong"
    actor = Leaving.remote()
    for call in (actor.leave, actor.leave):
        with pytest.raises(rt.exceptions.ActorDiedError):
            rt.get(call.remote(0))
