"""Actors that have a name, as Ray's users know them: names, namespaces, lifetimes."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import pytest


def eventually(check: Callable[[], Any]) -> Any:
    """Ends of actors are noticed soon, not at once."""
    deadline = time.monotonic() + 60
    while not (found := check()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def is_unknown(rt: Any, name: str) -> bool:
    try:
        rt.get_actor(name)
    except ValueError:
        return True
    return False


@pytest.fixture
def counter_class(rt: Any) -> Any:
    @rt.remote
    class Counter:
        def __init__(self, start: int = 0) -> None:
            self.count = start

        def add(self, n: int = 1) -> int:
            self.count += n
            return self.count

        @rt.method(num_returns=2)
        def both(self) -> Any:
            return self.count, -self.count

        def who(self) -> Any:
            context = rt.get_runtime_context()
            return context.get_actor_name(), context.namespace

        def leave(self) -> None:
            rt.actor.exit_actor()

    return Counter


def test_a_name_finds_the_actor(rt: Any, counter_class: Any) -> None:
    counter = counter_class.options(name="c1").remote(5)
    found = rt.get_actor("c1")
    assert found == counter
    assert hash(found) == hash(counter)
    assert repr(found) == repr(counter)
    assert rt.get(found.add.remote(2)) == 7
    assert rt.get(found.both.remote()) == [7, -7]
    assert rt.get(found.add.options(name="x").remote()) == 8
    with pytest.raises(TypeError):
        found.add.remote(1, 2, 3)
    namespace = rt.get_runtime_context().namespace
    assert rt.get(counter.who.remote()) == ("c1", namespace)
    assert rt.get_actor("c1", namespace=namespace) == counter


def test_a_name_is_taken_while_its_actor_lives(rt: Any, counter_class: Any) -> None:
    counter = counter_class.options(name="c2").remote()
    taken = r"The name c2 \(namespace=.*\) is already taken"
    with pytest.raises(ValueError, match=taken) as caught:
        counter_class.options(name="c2").remote()
    assert isinstance(caught.value, rt.exceptions.ActorAlreadyExistsError)
    rt.kill(counter)
    eventually(lambda: is_unknown(rt, "c2"))
    again = counter_class.options(name="c2").remote(10)
    assert rt.get(again.add.remote()) == 11


def test_the_name_is_free_when_the_actor_ends_by_itself(rt: Any, counter_class: Any) -> None:
    counter = counter_class.options(name="c3").remote()
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(counter.leave.remote())
    del counter  # in Ray the name stays until the handles are gone
    eventually(lambda: is_unknown(rt, "c3"))


def test_an_actor_ends_with_the_handles_of_its_making(rt: Any, counter_class: Any) -> None:
    counter = counter_class.options(name="c4").remote()
    assert rt.get(counter.add.remote()) == 1
    found = rt.get_actor("c4") if rt.engine in ("processes", "ray") else None
    del counter
    eventually(lambda: is_unknown(rt, "c4"))
    if found is not None:
        with pytest.raises(rt.exceptions.RayActorError):
            rt.get(found.add.remote())


def test_namespaces(rt: Any, counter_class: Any) -> None:
    here = counter_class.options(name="c5").remote()
    there = counter_class.options(name="c5", namespace="elsewhere").remote()
    assert here != there
    assert rt.get_actor("c5") == here
    assert rt.get_actor("c5", namespace="elsewhere") == there
    with pytest.raises(ValueError, match="Failed to look up actor with name 'c5'"):
        rt.get_actor("c5", namespace="nowhere")
    names = importlib.import_module(f"{rt.library.__name__}.util").list_named_actors
    assert names().count("c5") == 1
    own = rt.get_runtime_context().namespace
    everywhere = names(all_namespaces=True)
    assert {"name": "c5", "namespace": "elsewhere"} in everywhere
    assert {"name": "c5", "namespace": own} in everywhere


def test_get_if_exists(rt: Any, counter_class: Any) -> None:
    named = counter_class.options(name="c6", get_if_exists=True)
    first = named.remote(1)
    assert rt.get(first.add.remote()) == 2
    second = named.remote(100)
    assert second == first
    assert rt.get(second.add.remote()) == 3
    with pytest.raises(ValueError, match="name must be specified to use `get_if_exists`"):
        counter_class.options(get_if_exists=True).remote()


def test_tasks_and_actors_find_actors(rt: Any, counter_class: Any) -> None:
    counter = counter_class.options(name="c7").remote()
    assert rt.get(counter.add.remote()) == 1

    @rt.remote
    def add(name: str) -> Any:
        return rt.get(rt.get_actor(name).add.remote())

    @rt.remote
    class Caller:
        def __init__(self, name: str) -> None:
            self.found = rt.get_actor(name)

        def add(self) -> Any:
            return rt.get(self.found.add.remote())

    assert rt.get(add.remote("c7")) == 2
    caller = Caller.remote("c7")
    assert rt.get(caller.add.remote()) == 3
    with pytest.raises(ValueError, match="Failed to look up actor with name 'nobody'"):
        rt.get(add.remote("nobody"))
    assert rt.get(counter.add.remote()) == 4


def test_a_handle_from_a_name_can_be_passed_on(rt: Any, counter_class: Any) -> None:
    counter = counter_class.options(name="c8").remote()

    @rt.remote
    def add(box: Any) -> Any:
        return rt.get(box[0].add.remote()), box[0]

    count, found = rt.get(add.remote([rt.get_actor("c8")]))
    assert count == 1
    assert found == counter
    assert rt.get(found.add.remote()) == 2


def test_a_detached_actor_needs_no_handle(rt: Any, counter_class: Any) -> None:
    def make(name: str) -> None:
        counter_class.options(name=name, lifetime="detached").remote(7)

    make("c9")
    found = rt.get_actor("c9")
    assert rt.get(found.add.remote()) == 8
    del found
    assert rt.get(rt.get_actor("c9").add.remote()) == 9
    rt.kill(rt.get_actor("c9"))
    eventually(lambda: is_unknown(rt, "c9"))


def test_a_task_makes_a_detached_actor(rt: Any, counter_class: Any) -> None:
    @rt.remote
    def make() -> Any:
        actor = counter_class.options(name="c10", lifetime="detached").remote()
        return rt.get(actor.add.remote())

    assert rt.get(make.remote()) == 1
    found = rt.get_actor("c10")
    assert rt.get(found.add.remote()) == 2
    rt.kill(found)


def test_lifetimes(rt: Any, counter_class: Any) -> None:
    plain = counter_class.options(lifetime="non_detached").remote()
    assert rt.get(plain.add.remote()) == 1
    nameless = counter_class.options(lifetime="detached").remote()
    assert rt.get(nameless.add.remote()) == 1
    rt.kill(nameless)
    with pytest.raises(ValueError, match="lifetime"):
        counter_class.options(lifetime="for ever").remote()


def test_kill_twice_and_of_something_else(rt: Any, counter_class: Any) -> None:
    counter = counter_class.remote()
    rt.kill(counter)
    rt.kill(counter)
    with pytest.raises(rt.exceptions.RayActorError) as caught:
        rt.get(counter.add.remote())
    assert isinstance(caught.value, rt.exceptions.ActorDiedError)
    for wrong in (5, counter_class, rt.put(1)):
        with pytest.raises(ValueError, match=r"kill\(\) only supported for actors"):
            rt.kill(wrong)


def test_a_task_kills(rt: Any, counter_class: Any) -> None:
    counter = counter_class.options(name="c11").remote()
    assert rt.get(counter.add.remote()) == 1

    @rt.remote
    def end(name: str) -> None:
        rt.kill(rt.get_actor(name))

    rt.get(end.remote("c11"))
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(counter.add.remote())
