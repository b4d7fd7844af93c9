"""Exceptions as their fields: class, ``args`` and attributes, without running a constructor.

What an exception's own pickling does, calling its class with ``args``, fails for a class whose
constructor takes other arguments, or formats the message twice.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cloudpickle

_USUAL_REDUCE = (BaseException.__reduce__, object.__reduce_ex__)
_HEAP_TYPE = 1 << 9
"""Flag of classes that were not made in C (CPython's Py_TPFLAGS_HEAPTYPE)."""


def builtin_base(cls: type) -> type[BaseException]:
    """The class written in C whose memory layout the exceptions of ``cls`` have."""
    while cls.__flags__ & _HEAP_TYPE:
        assert cls.__base__ is not None
        cls = cls.__base__
    assert issubclass(cls, BaseException)
    return cls


def rebuild(cls: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    """An exception with these fields, made without running the constructor of ``cls``."""
    base = builtin_base(cls)
    exc: BaseException = base.__new__(cls, *args)
    base.__init__(exc, *args)
    exc.__dict__.update(state)
    return exc


class _Plain:
    """Pickles as an exception, made by :func:`rebuild` when it is read."""

    def __init__(self, cls: type, args: tuple[Any, ...], state: dict[str, Any]) -> None:
        self.parts = cls, args, state

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return rebuild, self.parts


def plain(cls: type, args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    """What to pickle in place of an exception with these fields."""
    return _Plain(cls, args, state)


def is_plain(cls: type) -> bool:
    """Whether the exceptions of a class are their fields: it does not say how to pickle them."""
    reduce: Any = (cls.__reduce__, cls.__reduce_ex__)
    return bool(reduce == _USUAL_REDUCE)


def as_plain(exc: BaseException) -> Any:
    """What to pickle in place of ``exc``: itself, if its class says how it is pickled."""
    return plain(type(exc), exc.args, exc.__dict__) if is_plain(type(exc)) else exc


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Writes exceptions as their fields wherever they are: in a group, in another's arguments."""

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if issubclass(kind, BaseException) and is_plain(kind):
            # The state comes after the object, so that it may lead back to it.
            return rebuild, (kind, value.args, {}), value.__dict__, None, None, _set_state
        return super().reducer_override(value)


def _set_state(exc: BaseException, state: dict[str, Any]) -> None:
    exc.__dict__.update(state)


def dumps(value: Any) -> bytes:
    """Pickles what belongs to an exception."""
    file = io.BytesIO()
    _Pickler(file, 5).dump(value)
    return file.getvalue()


def safe_repr(value: object) -> str:
    """Its ``repr``, or the name of its class if that fails."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
