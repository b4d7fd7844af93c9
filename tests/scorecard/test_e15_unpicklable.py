"""E15: what cannot be pickled, or not unpickled, in arguments, results and exceptions.

Each time the cause is named, with the path to the offender where there is one, nothing hangs, and
the next task works.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import paralab
from paralab.exceptions import ActorDiedError, SystemFailure, TaskError, UnserializableException

SECONDS = 60
"""A hang is a failure."""
LARGE = 50_000_000


@pytest.fixture(autouse=True)
def the_next_task_works(session: object) -> Iterator[None]:
    yield
    same = paralab.remote(lambda value: value)
    assert paralab.get(same.remote(1), timeout=SECONDS) == 1


def explode() -> None:
    raise LookupError("no such thing here")


def run(function: Callable[[], Any]) -> Any:
    task = paralab.remote(max_retries=0)(lambda: function())
    return paralab.get(task.remote(), timeout=SECONDS)


def failure(function: Callable[[], Any]) -> Any:
    """The error of a task that runs ``function``."""
    with pytest.raises(TaskError) as caught:
        run(function)
    return caught.value


def kinds() -> dict[str, Any]:
    """Classes that travel by value, as a program's or a notebook's own do."""

    class Model:
        def __init__(self) -> None:
            self.inner = {"guard": [1, threading.Lock()]}

    class Unreadable:
        def __reduce__(self) -> Any:
            return explode, ()

    class TwoArguments(Exception):
        def __init__(self, code: int, *, where: str) -> None:
            super().__init__(f"{code} at {where}")
            self.code, self.where = code, where

    class HoldsLock(Exception):
        def __init__(self, message: str) -> None:
            super().__init__(message)
            self.state = {"lock": threading.Lock()}

    class BadStr(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    class BadRepr(Exception):
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    class StrExits(Exception):
        def __str__(self) -> str:
            raise SystemExit(3)

    class BadReduce(Exception):
        def __reduce__(self) -> Any:
            raise RuntimeError("not me")

    class UnreadableError(Exception):
        def __reduce__(self) -> Any:
            return explode, ()

    class BadGetattr(Exception):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(f"asked for {name}")

    class BadGetattribute(Exception):
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(f"asked for {name}")

    class BadNotes(Exception):
        @property
        def __notes__(self) -> Any:  # type: ignore[override]
            raise RuntimeError("no notes")

    class Final(Exception):
        def __init_subclass__(cls) -> None:
            raise TypeError("cannot be a base")

    return {name: each for name, each in locals().items() if isinstance(each, type)}


KINDS = kinds()
LOCK = r"\.inner\['guard'\]\[1\] is a _thread.lock, which cannot be pickled"


def test_an_argument_or_a_put_value_is_refused_at_once(scorecard: Any) -> None:
    model = KINDS["Model"]()
    start = time.perf_counter()
    with pytest.raises(TypeError, match=r"argument 0 of .*: args\[0\]" + LOCK):
        paralab.remote(lambda value: value).remote(model)
    seconds = time.perf_counter() - start
    scorecard.figure(
        "E15",
        "path to what cannot be pickled in an argument",
        seconds * 1e3,
        "ms",
        short="the path to it is told in {}",
    )
    with pytest.raises(TypeError, match=r"argument 'of' of .*: of\[0\]" + LOCK):
        paralab.remote(lambda of: of).remote(of=[model])
    with pytest.raises(TypeError, match="value" + LOCK):
        paralab.put(model)


def test_a_result(session: object) -> None:
    Model = KINDS["Model"]
    with pytest.raises(TypeError, match="result" + LOCK):
        run(Model)
    two = paralab.remote(num_returns=2)(lambda: (1, Model()))
    with pytest.raises(TypeError, match="result" + LOCK):
        paralab.get(two.remote(), timeout=SECONDS)

    def half_run() -> Any:
        return (n for n in range(3))

    with pytest.raises(TypeError, match=r"is a generator.*pass its values as a list"):
        run(half_run)


def test_what_can_be_written_and_not_read() -> None:
    Unreadable = KINDS["Unreadable"]
    take = paralab.remote(max_retries=0)(lambda value: value)
    says = "System error: no such thing here\ntraceback: .*LookupError: no such thing here"
    for ref in (paralab.put(Unreadable()), paralab.remote(lambda: Unreadable()).remote()):
        for given in (ref, [ref]):
            with pytest.raises(SystemFailure, match=f"(?s){says}") as caught:
                paralab.get(given, timeout=SECONDS)
            assert isinstance(caught.value.__cause__, LookupError)
    for argument in (Unreadable(), paralab.put(Unreadable())):
        with pytest.raises(SystemFailure, match="no such thing here") as caught:
            paralab.get(take.remote(argument), timeout=SECONDS)
        assert isinstance(caught.value, TaskError)


def test_an_actor_that_cannot_read_its_arguments() -> None:
    Unreadable = KINDS["Unreadable"]

    @paralab.remote
    class Box:
        def __init__(self, value: object = None) -> None:
            pass

        def put(self, value: object) -> int:
            return 1

    box = Box.remote()
    with pytest.raises(SystemFailure, match="no such thing here"):
        paralab.get(box.put.remote(Unreadable()), timeout=SECONDS)
    assert paralab.get(box.put.remote(None), timeout=SECONDS) == 1
    with pytest.raises(ActorDiedError, match="no such thing here"):
        paralab.get(Box.remote(Unreadable()).put.remote(1), timeout=SECONDS)


def raises(kind: str, *args: Any, **kwargs: Any) -> Any:
    """The error of a task that raises such an exception."""
    cls = KINDS[kind]

    def fail() -> None:
        raise cls(*args, **kwargs)

    return failure(fail)


def test_an_exception_whose_constructor_takes_other_arguments() -> None:
    error = raises("TwoArguments", 404, where="home")
    assert isinstance(error, KINDS["TwoArguments"]) or type(error.cause).__name__ == "TwoArguments"
    assert (error.code, error.where, error.cause.args) == (404, "home", ("404 at home",))


def test_an_exception_that_holds_a_lock() -> None:
    error = raises("HoldsLock", "message")
    assert "exception.state['lock'] is a _thread.lock, which cannot be pickled" in str(error)
    assert error.cause.args == ("message",)
    assert type(error.cause).__name__ == "HoldsLock"
    assert "lock object" in error.state


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("BadStr", "str() of it failed with RuntimeError"),
        ("BadRepr", "BadRepr: message"),
        ("StrExits", "str() of it failed with SystemExit"),
        ("BadGetattr", "BadGetattr: message"),
        ("BadNotes", "BadNotes: message"),
        ("Final", "Final: message"),
    ],
)
def test_an_exception_whose_own_methods_raise(kind: str, says: str) -> None:
    error = raises(kind, "message")
    assert says in str(error)
    assert kind in repr(error)
    assert type(error.cause).__name__ == kind


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("BadReduce", "could not be sent as an object: RuntimeError: ('not me',)"),
        ("UnreadableError", "could not be sent as an object: LookupError: ('no such thing here',)"),
        ("BadGetattribute", "RuntimeError: ('asked for "),
    ],
)
def test_an_exception_that_cannot_travel(kind: str, says: str) -> None:
    error = raises(kind, "message")
    assert isinstance(error.cause, UnserializableException)
    assert kind in str(error)
    assert says in str(error.cause)


@pytest.mark.slow
def test_a_large_exception(scorecard: Any) -> None:
    def text() -> None:
        raise ValueError("x" * LARGE)

    def attribute() -> None:
        error = ValueError("small")
        error.data = b"x" * LARGE
        raise error

    start = time.perf_counter()
    error = failure(text)
    seconds = time.perf_counter() - start
    assert isinstance(error, ValueError)
    assert len(error.args[0]) == LARGE
    assert len(str(error)) < 100_000, "what is shown is cut"
    error = failure(attribute)
    assert (len(error.data), len(error.cause.data)) == (LARGE, LARGE)
    scorecard.figure(
        "E15",
        "an exception of 50 MB, from .remote() to get",
        round(seconds, 2),
        "s",
        short="an exception of 50 MB in {}",
    )


def test_groups_chains_and_notes() -> None:
    TwoArguments, HoldsLock = KINDS["TwoArguments"], KINDS["HoldsLock"]

    def group() -> None:
        inner = ExceptionGroup("inner", [TwoArguments(1, where="a"), KeyError("k")])
        raise ExceptionGroup("outer", [ValueError("v"), inner])

    error = failure(group)
    assert isinstance(error, ExceptionGroup)
    rest = error.subgroup(lambda each: "TwoArguments" in type(each).__name__)
    assert rest is not None
    assert "1 at a" in str(error)

    def interrupted() -> None:
        raise BaseExceptionGroup("both", [ValueError("v"), KeyboardInterrupt()])

    assert isinstance(failure(interrupted).cause, BaseExceptionGroup)

    def chain() -> None:
        try:
            try:
                raise HoldsLock("first")
            except HoldsLock as first:
                raise TwoArguments(2, where="b") from first
        except TwoArguments:
            error = TypeError("third")
            error.add_note("a note")
            raise error  # noqa: B904 - the context is what is looked at

    error = failure(chain)
    second = error.cause.__context__
    assert (type(second).__name__, second.code) == ("TwoArguments", 2)
    assert type(second.__cause__).__name__ == "HoldsLock"
    text = str(error)
    assert text.index("first") < text.index("2 at b") < text.rindex("TypeError: third")
    assert text.rstrip().endswith("a note")
    assert error.__notes__ == ["a note"]

    def knot() -> None:
        one, other = ValueError("one"), ValueError("other")
        one.__context__, other.__cause__ = other, one
        one.myself = one
        raise one

    error = failure(knot)
    assert error.cause.myself is error.cause
