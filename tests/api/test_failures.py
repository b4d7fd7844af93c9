"""How exceptions travel: packed anywhere, read anywhere, with the user's line first."""

from __future__ import annotations

import gc
import inspect
import linecache
import pickle
import socket
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paralab import exceptions
from paralab.exceptions import ObjectLostError, ParalabError, TaskError, UnserializableException
from paralab.remote_errors import (
    LONGEST_CHAIN,
    as_failure,
    of_failed_input,
    pack_failure,
    unpack_failure,
)
from paralab.remote_traceback import show_all_frames


def sent(raiser: Callable[[], object], function: str = "f") -> Any:
    """What arrives when ``raiser`` runs as the task ``function``."""
    try:
        raiser()
    except BaseException as exc:
        return unpack_failure(pack_failure(exc, function=function, pid=7, node="ab" * 28))
    raise AssertionError("it raised nothing")


class TwoArguments(Exception):
    """The constructor takes other arguments than those which BaseException keeps."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(f"code {code}: {why}")
        self.code = code


class HoldsLock(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text, threading.Lock())
        self.lock = threading.Lock()
        self.text = text


class DoesNotComeBack(Exception):
    def __reduce__(self) -> Any:
        return int, ("not a number",)


class DoesNotGo(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("no")


class NoText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Unfriendly(type):
    def __new__(mcs, name: str, bases: tuple[type, ...], names: dict[str, Any]) -> Any:
        if name != "Final":
            raise TypeError("no subclasses")
        return super().__new__(mcs, name, bases, names)


class Final(Exception, metaclass=Unfriendly):
    pass


def raises(exc: BaseException) -> Callable[[], object]:
    def raiser() -> None:
        raise exc

    return raiser


def test_it_is_both_task_error_and_the_users_class() -> None:
    error = sent(raises(TwoArguments(4, "late")), "work")
    assert isinstance(error, TaskError)
    assert isinstance(error, TwoArguments)
    assert type(error).__name__ == "TaskError(TwoArguments)"
    assert (error.code, error.args) == (4, ("code 4: late",))
    assert type(error.cause) is TwoArguments
    assert str(error.cause) == "code 4: late"
    assert (error.function_name, error.pid, error.node) == ("work", 7, "ab" * 28)
    assert error.__cause__ is None
    assert type(sent(raises(TwoArguments(5, "x")))) is type(error), "one class for all"


def test_the_users_failing_line_comes_first() -> None:
    error = sent(raises(ValueError("bad")), "work")
    first, *others = str(error).splitlines()
    assert first.startswith("ValueError: bad (task work, line ")
    assert first.endswith(f'of {__file__}: "raise exc")')
    text = "\n".join(others)
    assert "task work (pid 7, node abababababab)" in text
    assert f'File "{__file__}"' in text
    assert text.endswith("ValueError: bad")


def test_errors_of_c_classes_keep_their_fields() -> None:
    error = sent(lambda: Path("/no/such/file").stat())
    assert isinstance(error, FileNotFoundError)
    assert (error.errno, error.filename) == (2, "/no/such/file")
    error = sent(lambda: b"\xff".decode())
    assert isinstance(error, UnicodeDecodeError)
    assert (error.encoding, error.start) == ("utf-8", 0)
    error = sent(lambda: compile("1 +", "x.py", "exec"))
    assert isinstance(error, SyntaxError)
    assert error.lineno == 1
    error = sent(raises(StopIteration(4)))
    assert isinstance(error, StopIteration)
    assert error.value == 4


def test_groups_and_notes() -> None:
    inner = ValueError("one")
    inner.add_note("a note")
    error = sent(raises(ExceptionGroup("several", [inner, KeyError("two")])))
    assert isinstance(error, ExceptionGroup)
    assert [type(each) for each in error.exceptions] == [ValueError, KeyError]
    assert "Exception 1 of 2 in the group" in str(error)
    assert "a note" in str(error)


def test_what_does_not_pickle_is_replaced_by_its_text() -> None:
    error = sent(raises(HoldsLock("held")))
    assert isinstance(error, HoldsLock)
    assert error.text == "held"
    assert "lock" in error.args[1]
    assert "lock" in vars(error)["lock"]


@pytest.mark.parametrize("kind", [DoesNotGo, DoesNotComeBack])
def test_what_cannot_be_sent_keeps_name_text_and_traceback(kind: type[Exception]) -> None:
    error = sent(raises(kind("away")))
    assert type(error.cause) is UnserializableException
    assert kind.__name__ in str(error.cause)
    assert "away" in str(error.cause)
    assert f'File "{__file__}"' in str(error)
    assert str(error).startswith(f"{kind.__module__}.{kind.__name__}: away (task f, line ")


def test_whatever_an_exception_does_it_is_packed() -> None:
    assert "str() of it failed" in str(sent(raises(NoText())))
    assert type(sent(raises(Final("x")))) is TaskError
    assert isinstance(sent(raises(Final("x"))).cause, Final)
    local: Any = type("Local", (Exception,), {})
    assert isinstance(sent(raises(local(socket))), TaskError)

    class Cyclic(Exception):
        pass

    a, b = Cyclic("a"), Cyclic("b")
    a.__cause__, b.__cause__ = b, a
    assert isinstance(sent(raises(a)), Cyclic)


def test_a_remote_interrupt_or_exit_is_not_one_here() -> None:
    for kind in (KeyboardInterrupt, SystemExit, GeneratorExit):
        error = sent(raises(kind()))
        assert type(error) is TaskError
        assert isinstance(error.cause, kind)


def test_causes_and_contexts_come_along() -> None:
    def chained() -> None:
        try:
            raise TwoArguments(1, "first")
        except TwoArguments as first:
            raise KeyError("second") from first

    def in_passing() -> None:
        try:
            raise HoldsLock("first")
        except HoldsLock:
            raise KeyError("second")  # noqa: B904

    error = sent(chained)
    assert isinstance(error.cause.__cause__, TwoArguments)
    assert "direct cause" in str(error)
    error = sent(in_passing)
    assert isinstance(error.cause.__context__, HoldsLock)
    assert "During handling" in str(error)


def test_a_chain_of_tasks() -> None:
    inner = sent(raises(ValueError("deep")), "inner")

    # The runtime met it while it loaded the arguments of `outer`: no frame of the user.
    dependent = unpack_failure(pack_failure(inner, function="outer", pid=8, node=""))
    assert isinstance(dependent, ValueError)
    assert type(dependent.cause) is ValueError
    assert str(dependent).startswith("ValueError: deep (task inner, line ")
    assert "Task outer did not run. At least one of the input arguments" in str(dependent)

    failure = pack_failure(inner, function="first", pid=7, node="")
    for number in range(100):
        failure = of_failed_input(failure, function=f"link {number}", pid=9, node="")
    far: Any = unpack_failure(failure)
    assert far.function_name == "link 99"
    assert type(far.cause) is ValueError
    assert str(far).startswith("ValueError: deep (task inner, line ")
    assert str(far).count("did not run") == LONGEST_CHAIN
    assert "Task link 99 did not run" in str(far)

    asked = sent(raises(inner), "asking")
    assert isinstance(asked, ValueError)
    text = str(asked)
    assert text.startswith("ValueError: deep (task inner, line ")
    assert text.index("task inner") < text.index("Task asking met that error")
    assert text.count("deep") == 3


def test_errors_of_the_runtime_travel_as_themselves() -> None:
    lost = ObjectLostError("ab" * 28, message="It is gone.")
    error = unpack_failure(pack_failure(lost, function="f", pid=1, node=""))
    assert type(error) is ObjectLostError
    assert error.object_ref_hex == "ab" * 28
    assert str(error) == str(lost)
    met = sent(raises(lost))
    assert isinstance(met, TaskError)
    assert isinstance(met, ObjectLostError)


def test_without_pickling_the_cause_is_the_exception_itself() -> None:
    exc = HoldsLock("x")
    error = as_failure(exc, function="f", pid=1, node="")
    assert isinstance(error, TaskError)
    assert error.cause is exc
    assert isinstance(error.as_instanceof_cause(), HoldsLock)


def test_a_long_traceback_is_shortened() -> None:
    def endless(n: int) -> int:
        return endless(n + 1) + 1

    data = b""
    try:
        endless(0)
    except RecursionError as exc:
        data = pack_failure(exc, function="f", pid=1, node="")
    assert len(data) < 50_000
    assert "frames left out" in str(unpack_failure(data))


def test_source_that_only_the_reader_has() -> None:
    """A cell of a notebook: its file does not exist where it runs."""
    name = "/tmp/ipykernel_1/2.py"
    names: dict[str, Any] = {}
    exec(compile("def cell():\n    return 1 / 0\n", name, "exec"), names)
    error = sent(names["cell"])
    assert str(error).splitlines()[0].endswith(f"line 2 of {name})")
    source = "def cell():\n    return 1 / 0\n"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    try:
        assert str(error).splitlines()[0].endswith(f'line 2 of {name}: "return 1 / 0")')
        assert "    return 1 / 0\n" in error.traceback_str
    finally:
        del linecache.cache[name]


def test_frames_of_paralab_are_folded_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from paralab.options import build_task_options

    error = sent(lambda: build_task_options({"name": 1}))
    assert "… 3 frames of paralab hidden" in str(error)
    assert "options.py" not in str(error)
    assert __file__ in str(error).splitlines()[0]
    monkeypatch.setenv("PARALAB_FULL_TRACEBACK", "1")
    assert "hidden" not in str(error)
    assert "options.py" in str(error)
    monkeypatch.delenv("PARALAB_FULL_TRACEBACK")
    show_all_frames(True)
    try:
        assert "options.py" in str(error)
    finally:
        show_all_frames(False)


ALL_ERRORS = [
    cls
    for _, cls in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(cls, ParalabError) and cls is not TaskError
]
TEXT_ARGUMENT = {
    "ActorError": "error_msg",
    "TaskCancelledError": "error_message",
    "ObjectReconstructionFailedError": "reason_message",
}
"""Of errors whose first argument is an id."""


@pytest.mark.parametrize("cls", ALL_ERRORS, ids=lambda cls: cls.__name__)
def test_every_error_pickles(cls: type[ParalabError]) -> None:
    name = TEXT_ARGUMENT.get(cls.__name__)
    id_ = ["ab" * 28] if issubclass(cls, ObjectLostError) else []
    error: Any = cls(*id_, **{name: "something happened"}) if name else cls("something happened")
    error.extra = [1]
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))
    assert "something happened" in str(error)


def test_task_errors_pickle_and_stay_both() -> None:
    error = sent(raises(TwoArguments(4, "late")), "work")
    copy: Any = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, TaskError)
    assert isinstance(copy, TwoArguments)
    assert (copy.code, str(copy), copy.function_name) == (4, str(error), "work")
    plain = pickle.loads(pickle.dumps(TaskError.of("f", ValueError("x"), pid=1)))
    assert type(plain) is TaskError


def test_rays_names_are_the_same_classes() -> None:
    for theirs, ours in {
        "RayError": "ParalabError",
        "RayTaskError": "TaskError",
        "RayActorError": "ActorError",
        "RaySystemError": "SystemFailure",
        "LocalRayletDiedError": "LocalNodeDied",
    }.items():
        assert getattr(exceptions, theirs) is getattr(exceptions, ours)
    assert issubclass(exceptions.GetTimeoutError, TimeoutError)
    assert issubclass(exceptions.ReferenceCountingAssertionError, AssertionError)
    assert issubclass(exceptions.OwnerDiedError, exceptions.ObjectLostError)


def test_no_class_is_kept_for_good() -> None:
    def use() -> weakref.ref[Any]:
        class Temporary(Exception):
            pass

        sent(raises(Temporary()))
        return weakref.ref(Temporary)

    gone = use()
    gc.collect()  # the class that is both
    gc.collect()  # and then the user's
    assert gone() is None
