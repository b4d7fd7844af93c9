"""A failed task: the error that is the user's own exception and a TaskError at once.

What a task raised is described where it was raised (``remote_traceback``) and becomes a
``TaskError`` where it is asked for.  ``get`` raises that as an instance of the exception's own
class too, made here, so that ``except ValueError`` goes on working.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any
from weakref import WeakValueDictionary

from paralab.library_name import said
from paralab.plain_exception import as_plain, builtin_base, rebuild, safe_repr
from paralab.remote_traceback import LONGEST_TEXT, Origin, Raised, describe, headline, render
from paralab.shown_text import shown_name, shown_text

_C_FIELDS = (GetSetDescriptorType, MemberDescriptorType)
_NEVER_COMBINED = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""A remote one must not act on the caller's process as if it had happened there."""


class ParalabError(Exception):
    """Base class of all errors of the runtime: a message, plus the advice of the class."""

    ADVICE = ""

    def _message(self) -> str:
        return super().__str__()

    def __str__(self) -> str:
        text = self._message()
        text = f"{text}\n{self.ADVICE}" if text and self.ADVICE else text or self.ADVICE
        return said(shown_text(text))

    def to_bytes(self) -> bytes:
        """This error as bytes for :meth:`from_bytes`."""
        return pickle.dumps(self)

    @staticmethod
    def from_bytes(b: bytes) -> ParalabError:
        """The error in ``b``, which :meth:`to_bytes` made."""
        error: ParalabError = pickle.loads(b)
        return error

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return rebuild, (type(self), self.args, self.__dict__)


_duals: WeakValueDictionary[type, type[TaskError]] = WeakValueDictionary()
"""For each class of causes the class that is both; an entry goes when no such error is left."""


class TaskError(ParalabError):
    """A task or an actor's method raised an exception.

    ``get`` raises it as an instance of this class and of the class of ``cause`` at once.

    Args:
        function_name: the task, as ``module.function`` or ``Class.method``.
        traceback_str: the remote traceback as text.
        cause: the exception that the user's code raised, without its traceback.
        proctitle: what the process was called while it ran the task.
        pid: process in which it was raised; this one by default.
        ip: address of the node.
        actor_repr, actor_id: which actor it was, where it was one.

    Attributes:
        node: the node, in hexadecimal digits.
    """

    function_name: str
    cause: BaseException
    pid: int
    node: str
    ip: str
    proctitle: str
    actor_repr: str | None
    _raised: Raised
    _given: str | None
    """The traceback as the constructor was given it; None where ``_raised`` tells it."""

    def __init__(
        self,
        function_name: str,
        traceback_str: str,
        cause: BaseException,
        proctitle: str | None = None,
        pid: int | None = None,
        ip: str | None = None,
        actor_repr: str | None = None,
        actor_id: str | None = None,
    ) -> None:
        super().__init__(function_name, traceback_str, cause, proctitle, pid, ip)
        self._fill(function_name, cause, pid or os.getpid(), "", describe(cause))
        self.ip = ip or self.ip
        self.proctitle = proctitle or self.proctitle
        self.actor_repr, self._actor_id = actor_repr, actor_id
        self._given = traceback_str

    @classmethod
    def of(
        cls,
        function_name: str,
        cause: BaseException,
        *,
        pid: int,
        node: str = "",
        raised: Raised | None = None,
    ) -> TaskError:
        """The error of a task that has run, or failed to, in the process ``pid`` of ``node``."""
        error: TaskError = cls.__new__(cls, function_name, cause)
        error._fill(function_name, cause, pid, node, raised or describe(cause))
        return error

    def _fill(
        self, function_name: str, cause: BaseException, pid: int, node: str, raised: Raised
    ) -> None:
        self.function_name = function_name
        self.cause = cause
        self.pid = pid
        self.node = node
        self.ip = "127.0.0.1"
        self.proctitle = f"ray::{function_name}"
        self.actor_repr = self._actor_id = self._given = None
        self._raised = raised
        self._origin = Origin(function_name, pid, node)

    @property
    def traceback_str(self) -> str:
        """The remote traceback as text, source lines looked up where it is read."""
        return render(self._raised, self._origin) if self._given is None else self._given

    def __str__(self) -> str:
        if self._given is not None:
            return self._given
        return f"{headline(self._raised, self.function_name)}\n\n{self.traceback_str}"

    def __repr__(self) -> str:
        return shown_text(f"{type(self).__name__}({safe_repr(self.cause)[:LONGEST_TEXT]})")

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if self._given is not None and type(self) is TaskError:
            return super().__reduce__()
        combined = type(self) is not TaskError
        fields = (self.function_name, as_plain(self.cause), self.pid, self.node, self._raised)
        return _rebuild_task_error, (combined, *fields)

    def make_dual_exception_instance(self) -> TaskError:
        """This error as an instance of its cause's class too.

        Raises:
            TypeError: that class cannot be combined with TaskError.
        """
        return _combined(self)

    def as_instanceof_cause(self) -> TaskError:
        """This error as an instance of its cause's class too, with the cause's attributes.

        Returns self where that class cannot be combined with TaskError.
        """
        cause_type = type(self.cause)
        if isinstance(self, cause_type) or isinstance(self.cause, _NEVER_COMBINED):
            return self
        try:
            return _combined(self)
        except Exception:
            # A final class, a metaclass of its own, a layout that does not fit: the user's
            # exception is still there as `cause`.
            return self


def forget_combined() -> None:
    """Makes them anew from now on: TaskError has another name."""
    _duals.clear()


def _combined(error: TaskError) -> TaskError:
    cause = error.cause
    cause_type = type(cause)
    dual = _duals.get(cause_type)
    if dual is None:
        name = f"{TaskError.__name__}({shown_name(cause_type.__name__)})"
        names = {
            "__module__": TaskError.__module__,
            "__qualname__": name,
            "__init__": TaskError.__init__,
            "__reduce__": TaskError.__reduce__,
            "__str__": TaskError.__str__,
            "__repr__": TaskError.__repr__,
            "__getattr__": _attribute_of_cause,
        }
        dual = type(name, (TaskError, cause_type), names)
        _duals[cause_type] = dual
    base = builtin_base(dual)
    # MemoryError keeps a stock of its own, and makes instances of no class that has other bases.
    maker = Exception if base is MemoryError else base
    combined: TaskError = maker.__new__(dual, *cause.args)
    base.__init__(combined, *cause.args)
    for owner in base.__mro__:
        if owner not in (BaseException, Exception, object):
            for field, descriptor in vars(owner).items():
                if isinstance(descriptor, _C_FIELDS):
                    _copy_field(cause, combined, field)
    combined.__dict__.update(cause.__dict__)
    notes = getattr(cause, "__notes__", None)
    if isinstance(notes, list):  # Python's tracebacks show them as they are
        combined.__notes__ = [shown_text(str(note)) for note in notes]
    combined._fill(error.function_name, cause, error.pid, error.node, error._raised)
    combined._given = error._given
    return combined


def _copy_field(source: BaseException, target: BaseException, field: str) -> None:
    try:
        setattr(target, field, getattr(source, field))
    except (AttributeError, TypeError):
        pass  # read-only (the members of a group) or never set: the constructor's value holds


def _attribute_of_cause(self: TaskError, name: str) -> Any:
    if name.startswith("__") or "cause" not in self.__dict__:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    return getattr(self.cause, name)


def _rebuild_task_error(
    combined: bool, function: str, cause: BaseException, pid: int, node: str, raised: Raised
) -> TaskError:
    error = TaskError.of(function, cause, pid=pid, node=node, raised=raised)
    return error.as_instanceof_cause() if combined else error
