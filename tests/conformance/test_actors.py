"""Actors, as Ray's users know them."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import re
from typing import Any

import pytest


@pytest.fixture
def account_class(rt: Any) -> Any:
    @rt.remote
    class Account:
        """Holds a number and remembers what was done to it."""

        def __init__(self, start: int = 0, *, factor: int = 1) -> None:
            self.total = start
            self.factor = factor
            self.log: list[int] = []

        def add(self, n: int) -> int:
            self.total += n * self.factor
            self.log.append(n)
            return self.total

        def history(self) -> list[int]:
            return self.log

        @rt.method(num_returns=2)
        def both(self) -> Any:
            return self.total, self.log

        def fail(self, text: str) -> None:
            raise KeyError(text)

        def leave(self) -> None:
            rt.actor.exit_actor()

        @staticmethod
        def static(x: int) -> int:
            return x + 1

        @classmethod
        def of_class(cls, x: int) -> Any:
            return cls.__name__, x

        def _hidden(self) -> int:
            return 7

        def __len__(self) -> int:
            return len(self.log)

        def me(self) -> Any:
            return rt.get_runtime_context().get_actor_id()

    return Account


def test_constructor_arguments_state_and_order(rt: Any, account_class: Any) -> None:
    account = account_class.remote(rt.put(100), factor=2)
    answers = [account.add.remote(n) for n in range(50)]
    assert rt.get(answers[-1]) == 100 + 2 * sum(range(50))
    assert rt.get(account.history.remote()) == list(range(50))


def test_methods_of_all_kinds(rt: Any, account_class: Any) -> None:
    account = account_class.remote()
    assert rt.get(account.both.remote()) == [0, []]
    assert rt.get(account.both.options(num_returns=1).remote()) == (0, [])
    assert account.add.options(num_returns=0).remote(1) is None
    assert rt.get(account.static.remote(1)) == 2
    assert rt.get(account.of_class.remote(1)) == ("Account", 1)
    assert rt.get(account._hidden.remote()) == 7
    assert rt.get(account.__len__.remote()) == 1
    assert rt.get(account.add.remote(n=2)) == 3


def test_names(rt: Any, account_class: Any) -> None:
    account = account_class.remote()
    assert re.fullmatch(r"Actor\((.*\.)?Account, [0-9a-f]{32}\)", repr(account))
    assert rt.get(account.me.remote()) in repr(account)
    assert "add" in dir(account)


def test_handles_are_given_to_tasks_and_actors(rt: Any, account_class: Any) -> None:
    @rt.remote
    def deposit(account: Any, n: int) -> Any:
        return rt.get(account.add.remote(n)), account

    @rt.remote(num_cpus=0)
    class Bank:
        def __init__(self, accounts: dict[str, Any]) -> None:
            self.accounts = accounts

        def deposit(self, name: str, n: int) -> int:
            return int(rt.get(self.accounts[name].add.remote(n)))

    account = account_class.remote()
    total, same = rt.get(deposit.remote(account, 5))
    assert total == 5
    assert same == account
    assert hash(same) == hash(account)
    assert account != account_class.remote()
    assert rt.get(same.add.remote(1)) == 6
    assert rt.get(Bank.remote({"a": account}).deposit.remote("a", 4)) == 10


def test_an_error_of_a_method_leaves_the_actor_alive(rt: Any, account_class: Any) -> None:
    account = account_class.remote()
    with pytest.raises(KeyError, match="gone"):
        rt.get(account.fail.remote("gone"))
    assert rt.get(account.add.remote(1)) == 1


def test_an_error_of_the_constructor_is_the_end_of_the_actor(rt: Any) -> None:
    @rt.remote
    class Broken:
        def __init__(self) -> None:
            raise ValueError("cannot start")

        def work(self) -> None: ...

    broken = Broken.remote()
    for _ in range(2):
        with pytest.raises(rt.exceptions.RayActorError, match="cannot start") as caught:
            rt.get(broken.work.remote())
        assert isinstance(caught.value, rt.exceptions.ActorDiedError)
        assert caught.value.actor_init_failed


def test_kill(rt: Any, account_class: Any) -> None:
    account = account_class.remote()
    assert rt.get(account.add.remote(1)) == 1
    rt.kill(account)
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(account.add.remote(1))
    rt.kill(account)


def test_exit_actor(rt: Any, account_class: Any) -> None:
    account = account_class.remote()
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(account.leave.remote())
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(account.add.remote(1))


def test_inheritance_from_plain_classes(rt: Any) -> None:
    class Base:
        def __init__(self, name: str) -> None:
            self.name = name

        def hello(self) -> str:
            return f"{self.greeting()} {self.name}"

        def greeting(self) -> str:
            return "Hello"

    @rt.remote
    class Derived(Base):
        def __init__(self, name: str) -> None:
            super().__init__(name.upper())

        def greeting(self) -> str:
            return super().greeting() + ","

    assert rt.get(Derived.remote("you").hello.remote()) == "Hello, YOU"
    with pytest.raises(TypeError, match="erive"):

        class Further(Derived):
            pass


def test_an_actor_class_inside_a_task_and_an_actor_that_makes_its_like(rt: Any) -> None:
    @rt.remote(num_cpus=0)
    class Node:
        def __init__(self, depth: int) -> None:
            self.child = Node.remote(depth - 1) if depth else None

        def depth(self) -> int:
            return 0 if self.child is None else 1 + rt.get(self.child.depth.remote())

    @rt.remote
    def build(depth: int) -> int:
        return int(rt.get(Node.remote(depth).depth.remote()))

    assert rt.get(build.remote(2)) == 2


def test_the_class_is_seen_through(rt: Any) -> None:
    class Base:
        HEIGHT = 2

        @staticmethod
        def double(x: int) -> int:
            return 2 * x

    @rt.remote
    class Box(Base):
        WIDTH = 3

        def __init__(self, depth: int) -> None:
            self.depth = depth

        @classmethod
        def flat(cls) -> Any:
            return cls(1)

        def volume(self) -> int:
            """Of the box."""
            return Box.HEIGHT * Box.WIDTH * Box.double(self.depth)

    assert (Box.HEIGHT, Box.WIDTH, Box.double(4)) == (2, 3, 8)
    assert Box.flat().depth == 1
    assert Box.volume.__doc__ == "Of the box."
    box = Box.remote(5)
    assert rt.get(box.volume.remote()) == 60
    assert rt.get(box.double.remote(3)) == 6
    with pytest.raises(AttributeError, match="nothing"):
        _ = Box.nothing
    assert {"volume", "flat", "WIDTH", "remote", "options", "bind"} <= set(dir(Box))
    shown = {name for name in dir(box) if not name.startswith("_")}
    assert shown == {"volume", "double", "flat"}
