"""The error for what cannot be pickled names the argument, the path and a way out."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import pickle
import re
import socket
import sqlite3
import threading
from typing import Any

import pytest

from paralab.serialization import NestedTooDeeplyError, pack, pack_args
from paralab.unpicklable import explain_unpicklable


class Model:
    """Has a lock among what can be pickled."""

    def __init__(self, **attributes: Any) -> None:
        self.size = 3
        self.__dict__.update(attributes)

    def method(self) -> None: ...


class Slotted:
    __slots__ = ("lock", "other")

    def __init__(self) -> None:
        self.other = 1
        self.lock = threading.Lock()


@dataclasses.dataclass
class Config:
    name: str
    lock: Any


LOCK = threading.Lock()


def message(value: Any) -> str:
    with pytest.raises(TypeError) as caught:
        pack(value)
    assert caught.value.__cause__ is not None
    return str(caught.value)


def local_class() -> type:
    class Local:
        limit = LOCK

    return Local


def closure() -> Any:
    lock = threading.Lock()
    return lambda: lock


def uses_global() -> Any:
    space = {"__name__": "__main__", "lock": LOCK}
    exec("def outer():\n def inner(): return lock\n return inner", space)
    return space["outer"]


class Reduced:
    """What it leaves out is not to blame."""

    def __init__(self) -> None:
        self.left_out = threading.Lock()
        self.kept = [threading.Lock()]

    def __getstate__(self) -> dict[str, Any]:
        return {"kept": self.kept}


class Lists(list[Any]):
    pass


class Dicts(dict[str, Any]):
    pass


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (LOCK, "value"),
        ([1, LOCK], "value[1]"),
        ((1, [2, (LOCK,)]), "value[1][1][0]"),
        ([*range(5000), LOCK, *range(5000)], "value[5000]"),
        ({"a": {"b c": LOCK}}, "value['a']['b c']"),
        (Model(lock=LOCK), "value.lock"),
        (Model(inner=Model(lock=LOCK)), "value.inner.lock"),
        ([Slotted()], "value[0].lock"),
        (Config("x", LOCK), "value.lock"),
        (Reduced(), "value.kept[0]"),
        (Lists([1, LOCK]), "value[1]"),
        (Dicts(a=LOCK), "value['a']"),
        (ValueError("x", LOCK), "value.args[1]"),
        (functools.partial(print, LOCK), "value.args[0]"),
        (functools.partial(print, end=LOCK), "value.keywords['end']"),
        (closure(), "value.<closure>.lock"),
        (uses_global(), "value.<globals>.lock"),
        (lambda x=LOCK: x, "value.__defaults__[0]"),
        (local_class(), "value.limit"),
        (local_class()(), "value.__class__.limit"),
        (Model(lock=LOCK).method, "value.__self__.lock"),
        (threading.Event(), "value._cond._lock"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_paths(value: Any, path: str) -> None:
    assert f"cannot serialize the value: {path} is a _thread.lock, " in message(value)


def test_keys_and_members_are_shown() -> None:
    assert "value (member <unlocked _thread.lock object" in message({LOCK})
    assert "value (key <unlocked _thread.lock object" in message({LOCK: 1})


def test_cycles_end_and_are_left_by_another_way() -> None:
    parent = Model()
    child = Model(parent=parent, zlock=LOCK)
    parent.child = child  # type: ignore[attr-defined]
    assert "value.child.zlock is a _thread.lock" in message(parent)
    ring: list[Any] = []
    ring.append(ring)
    ring.append(LOCK)
    assert "value[1] is a _thread.lock" in message(ring)


def test_arguments_are_named() -> None:
    with pytest.raises(
        TypeError, match=re.escape("argument 1 of f: args[1].lock is a _thread.lock")
    ):
        pack_args((1, Model(lock=LOCK)), {}, "f")
    with pytest.raises(TypeError, match=re.escape("argument 'x' of f: x[0] is a _thread.lock")):
        pack_args((1,), {"y": 2, "x": [LOCK]}, "f")
    with pytest.raises(TypeError, match=re.escape("the result of f: result[0] is a _thread.lock")):
        pack([LOCK], "the result of f", "result")


def test_hints() -> None:
    async def coroutine() -> None: ...

    started = coroutine()
    loop = asyncio.new_event_loop()
    database = sqlite3.connect(":memory:")
    with socket.socket() as connection, open(__file__, "ab") as file:
        assert "guard shared state by an actor" in message(LOCK)
        assert "open it in the task" in message(file)
        assert "connect and do so" in message(connection)
        assert "connect and do so" in message(database)
        assert "as a list" in message(x for x in range(3))
        assert "as a list" in message(started)
        assert "pass results" in message(asyncio.Future(loop=loop))
        assert "copy of the data" in message(
            memoryview(b"").__class__ and __import__("weakref").ref(Model)
        )
    started.close()
    database.close()
    loop.close()


def test_errors_of_the_users_own_pickling_are_kept() -> None:
    class Refuses:
        def __reduce__(self) -> Any:
            raise ZeroDivisionError("not today")

    text = message([Refuses()])
    assert "value[0] is a " in text
    assert "(ZeroDivisionError: not today)" in text
    assert "__getstate__" in text


def test_too_deep() -> None:
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(NestedTooDeeplyError, match="argument 1 of f: it is nested too deeply") as e:
        pack_args((1, deep), {}, "f")
    assert isinstance(e.value, TypeError)
    assert isinstance(e.value, RecursionError)
    assert str(pickle.loads(pickle.dumps(e.value))) == str(e.value)
    while deep:
        deep = deep[0]


def test_interrupts_are_not_explained() -> None:
    class Interrupts:
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(Interrupts())


def test_what_fails_only_once_still_gives_an_error() -> None:
    class Once:
        failed = False

        def __reduce__(self) -> Any:
            if not Once.failed:
                Once.failed = True
                raise OSError("busy")
            return str, ()

    assert message([Once()]) == "cannot serialize the value: OSError: busy"


def test_the_search_is_bounded() -> None:
    attempts = 0

    def attempt(value: Any) -> None:
        nonlocal attempts
        attempts += 1
        raise ValueError

    class Endless:
        def __reduce__(self) -> Any:
            return Endless, (), {f"part{n}": Endless() for n in range(10)}

    error = explain_unpicklable([("it", "it", Endless())], ValueError(), attempt)
    assert "it.part0.part0" in str(error)
    assert attempts < 5000
