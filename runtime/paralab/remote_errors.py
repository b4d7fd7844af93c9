"""Failures as bytes: how an exception leaves the process in which it was raised.

A user's exception travels twice, as the object (cloudpickle) and as plain data for reading
(``remote_traceback``), because the first may fail on either side::

    the object itself → the object with what does not pickle replaced by its text →
    only its name and text (UnserializableException)

Packing never raises.  What is unpacked is a fresh exception each time, so that two ``get``
of one failure do not share a traceback.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

from paralab.exceptions import ParalabError, SystemFailure, TaskError, UnserializableException
from paralab.library_name import said
from paralab.plain_exception import dumps, is_plain, plain, safe_repr
from paralab.remote_traceback import Origin, Raised, describe, headline, last_line, render
from paralab.shown_text import shown_text
from paralab.unpicklable import explain_unpicklable

LONGEST_CHAIN = 16
"""Tasks that are named where each failed because of the one before."""


def pack_failure(
    exc: BaseException, *, function: str, pid: int, node: str, met: bool = False
) -> bytes:
    """``exc`` as bytes for :func:`unpack_failure`.  Never raises.

    Args:
        exc: what the task raised.  An error of the runtime that no user's frame has seen
            travels as itself; anything else becomes the cause of a TaskError.
        function: name of the task or method, as it is shown.
        pid: the process in which it was raised.
        node: the node's id in hexadecimal digits.
        met: the task has begun, so it is a TaskError although no user's frame has seen it.
    """
    try:
        raised = describe(exc)
        if not met and _is_systems_own(exc, raised):
            return _dumps((None, 0, "", raised, _pack_object(exc)))
        packed = _pack_object(exc.cause if isinstance(exc, TaskError) else exc)
        if packed[1]:
            raised = replace(raised, notes=(*raised.notes, f"({packed[1]})"))
    except BaseException as failure:  # even looking at a user's object may run the user's code
        raised = Raised(type(exc).__qualname__, f"<not readable: {_say(failure)}>", ())
        packed = (None, _say(failure), None, None, True)
    return _dumps((function, pid, node, raised, packed))


def as_failure(exc: BaseException, *, function: str, pid: int, node: str) -> BaseException:
    """What ``unpack_failure(pack_failure(...))`` gives, with the exception itself as the cause.

    For tasks that run in the process that asks for them.  A TaskError is returned as such:
    ``as_instanceof_cause`` makes a fresh one for each ``get``.
    """
    raised = _describe(exc)
    if _is_systems_own(exc, raised):
        return exc
    cause = exc.cause if isinstance(exc, TaskError) else exc
    return TaskError.of(function, cause, pid=pid, node=node, raised=raised)


def _is_systems_own(exc: BaseException, raised: Raised) -> bool:
    """Whether the runtime made this error for the task, rather than the task met it."""
    if isinstance(exc, TaskError) or not isinstance(exc, ParalabError):
        return False
    if isinstance(exc, SystemFailure) and exc.is_met_by_task:
        return False
    return all(frame.is_own for frame in raised.frames)


def unpack_failure(data: bytes) -> BaseException:
    """A fresh exception, ready to raise.

    Returns:
        A TaskError, which is also an instance of the user's class where that can be, or the
        runtime's own error.
    """
    function, pid, node, raised, packed = pickle.loads(data)
    cause = _unpack_object(packed, raised)
    if function is None:
        return cause
    error = TaskError.of(function, cause, pid=pid, node=node, raised=raised)
    return error.as_instanceof_cause()


def of_failed_input(data: bytes, *, function: str, pid: int, node: str) -> bytes:
    """The failure of a task that did not run because one of its inputs is the failure ``data``.

    Its cause is what was raised first, however many tasks lie between.  In a long chain of tasks
    the last ones and the first ones are told, so that none carries the whole chain.
    """
    producer, its_pid, its_node, raised, packed = pickle.loads(data)
    origin = Origin("" if producer is None else producer, its_pid, its_node)
    depth, inner = 0, raised
    while inner.inner is not None:
        depth, inner = depth + 1, inner.inner
    if depth >= LONGEST_CHAIN:
        raised, origin = raised.inner, raised.origin
    raised = Raised(raised.type_name, raised.text, (), origin=origin, inner=raised)
    return _dumps((function, pid, node, raised, packed))


def shown_failure(data: bytes) -> tuple[str, bool, str]:
    """Class name of what was raised, whether a task has raised it, and what an error of it says.

    For where no code of the user may run: nothing of the user's is unpickled.
    """
    function, pid, node, raised, _packed = pickle.loads(data)
    if function is None:
        return raised.type_name, False, said(shown_text(last_line(raised)))
    text = render(raised, Origin(function, pid, node))
    return raised.type_name, True, f"{headline(raised, function)}\n\n{text}"


def with_note(data: bytes, note: str) -> bytes:
    """The failure ``data`` with a line below its traceback."""
    function, pid, node, raised, packed = pickle.loads(data)
    return _dumps((function, pid, node, replace(raised, notes=(*raised.notes, note)), packed))


def _dumps(value: object) -> bytes:
    return pickle.dumps(value, 5)


def _describe(exc: BaseException) -> Raised:
    try:
        return describe(exc)
    except Exception as failure:  # attributes of users' classes may run users' code
        return Raised(type(exc).__qualname__, f"<not readable: {_say(failure)}>", ())


def _pack_object(exc: BaseException, depth: int = 0) -> tuple[Any, ...]:
    """``(object or None, why not, cause, context, suppress)``, cause and context alike."""
    data, problem = None, ""
    try:
        data, problem = _pickled(exc)
    except BaseException as failure:
        problem = f"it could not be sent as an object: {_say(failure)}"
    if depth >= 8:
        return data, problem, None, None, exc.__suppress_context__
    cause = exc.__cause__
    context = None if exc.__suppress_context__ else exc.__context__
    return (
        data,
        problem,
        None if cause is None else _pack_object(cause, depth + 1),
        None if context is None else _pack_object(context, depth + 1),
        exc.__suppress_context__,
    )


def _pickled(exc: BaseException) -> tuple[bytes, str]:
    try:
        return dumps(exc), ""
    except Exception as failure:
        if not is_plain(type(exc)):
            raise
        args = tuple(map(_or_text, exc.args))
        state = {name: _or_text(field) for name, field in exc.__dict__.items()}
        subject = f"the exception {type(exc).__qualname__}"
        why = explain_unpicklable([(subject, "exception", exc)], failure, dumps)
        return dumps(plain(type(exc), args, state)), f"{why}; its text was sent in its place"


def _or_text(value: Any) -> Any:
    try:
        dumps(value)
    except Exception:
        return safe_repr(value)
    return value


def _say(failure: BaseException) -> str:
    return f"{type(failure).__name__}: {safe_repr(failure.args)[:500]}"


def _unpack_object(packed: tuple[Any, ...], raised: Raised | None) -> BaseException:
    data, problem, cause, context, suppress = packed
    exc: Any = None
    if data is not None:
        try:
            exc = pickle.loads(data)
        except Exception as failure:
            problem = f"it could not be sent as an object: {_say(failure)}"
    if not isinstance(exc, BaseException):
        while raised is not None and raised.inner is not None:
            raised = raised.inner
        said = last_line(raised) if raised is not None else "an exception"
        exc = UnserializableException(f"{said} ({problem})")
    if cause is not None:
        exc.__cause__ = _unpack_object(cause, raised.cause if raised else None)
    if context is not None:
        exc.__context__ = _unpack_object(context, raised.context if raised else None)
    exc.__suppress_context__ = suppress
    return exc  # type: ignore[no-any-return]
