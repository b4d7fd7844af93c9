"""Says which part of a value cannot be pickled, and what to do about it.

Pickle's own message names the kind of object ("cannot pickle '_thread.lock' object") and not
where it is.  Only once a value has failed is it walked: the parts that pickle would write
are taken from where pickle takes them, ``__reduce_ex__``, so that what a ``__getstate__``
leaves out is never blamed, and the part that fails is found by trying: halves of the list
of parts, so that a long list costs a few attempts and not one for each item.

An object all of whose parts can be pickled, or that gives no parts, is the offender.  On
cycles every object on the way fails; one that was met before is not entered again, and a way
that leads only there is left for the next one.
"""

from __future__ import annotations

import dis
import functools
import pickle
import reprlib
from collections.abc import Callable, Iterable, Iterator
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

import cloudpickle

from paralab.shown_text import shown_text

Attempt: TypeAlias = Callable[[Any], object]
"""Pickles a value and throws the result away, or raises."""
Parts: TypeAlias = list[tuple[str, Any]]
"""What to append to the path of the whole, and the part."""

_MAX_DEPTH = 64
_MAX_ATTEMPTS = 2_000
_SHOWN = 50
"""Characters of a key or member shown in a path."""
_NOT_PICKLED = frozenset({"__dict__", "__weakref__", "_abc_impl", "__builtins__"})

_HINTS = {
    "locks and threads belong to one process: make it where it is used, "
    "or guard shared state by an actor": ("_thread.", "threading.", "multiprocessing."),
    "an open file belongs to one process: pass its path and open it in the task": (
        "_io.",
        "tempfile.",
    ),
    "a connection belongs to one process: pass what is needed to connect and do so in the "
    "task, or keep it in an actor": (
        *("_socket.", "socket.", "ssl.", "_ssl.", "select."),
        *("sqlite3.", "_sqlite3.", "psycopg", "sqlalchemy."),
    ),
    "what is half run cannot move: pass its values as a list, or the function that makes it": (
        *("generator", "async_generator", "coroutine"),
    ),
    "futures, event loops and executors belong to one process: pass results, or refs": (
        *("asyncio.", "_asyncio.", "concurrent.futures."),
    ),
    "frames cannot move: pass the text of traceback.format_exception": ("frame", "traceback"),
    "it refers to the memory of this process: pass a copy of the data": (
        *("weakref", "mmap.", "_ctypes.", "ctypes."),
    ),
}
_DEFAULT_HINT = "make it inside the task or actor, or leave it out by __getstate__"


class NestedTooDeeplyError(TypeError, RecursionError):
    """A value cannot be serialized because it is nested deeper than pickle can follow."""


def explain_unpicklable(
    roots: list[tuple[str, str, Any]], error: Exception, attempt: Attempt
) -> TypeError:
    """The error to raise for a value, or for arguments, that could not be pickled.

    Args:
        roots: what was to be pickled: for each value what it is called ("argument 0 of f"),
            the beginning of paths in it ("args[0]"), and itself.
        error: what pickling raised.
        attempt: pickles a value as it was tried before, or raises.

    Returns:
        A TypeError, to be raised ``from error``, that names the path to the offender.
    """
    subjects = {path: subject for subject, path, _ in roots}
    found = None
    try:
        found = _Search(attempt).find([(path, value) for _, path, value in roots])
    except RecursionError as again:
        error = again
    except Exception:  # the user's objects may do anything; the first error is worth more
        pass
    if found is not None:
        root, path, culprit, error = found
        subject = subjects[root]
        if not isinstance(error, RecursionError):
            kind = _name(type(culprit))
            why = (
                f"cannot serialize {subject}: {path} is a {kind}, which cannot be pickled "
                f"({type(error).__name__}: {error}); {_hint(kind)}"
            )
            return TypeError(shown_text(why))
    else:
        subject = next(iter(subjects.values())) if len(subjects) == 1 else "these arguments"
    if isinstance(error, RecursionError):
        return NestedTooDeeplyError(
            f"cannot serialize {subject}: it is nested too deeply for pickle, or has no end "
            f"({error}). Make it flatter: for example a list of nodes that name each other by "
            "index, in place of nodes that hold each other"
        )
    return TypeError(shown_text(f"cannot serialize {subject}: {type(error).__name__}: {error}"))


class _Search:
    """One walk: how often it may still try, and what it has entered."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._left = _MAX_ATTEMPTS
        # Entered objects by id: held, so that an id stays that object's.
        self._entered: dict[int, Any] = {}

    def find(self, roots: Parts) -> tuple[str, str, Any, Exception] | None:
        """Root, path, offender and its error; None if nothing fails this time."""
        for root, value in self._failing(roots):
            found = self._enter(root, value, _MAX_DEPTH)
            if found:
                return root, *found
        return None

    def _enter(self, path: str, value: Any, depth: int) -> tuple[str, Any, Exception] | None:
        cause = self._try(value)
        if cause is None:
            return None
        self._entered[id(value)] = value
        if isinstance(cause, RecursionError) or not depth:
            return path, value, cause
        parts = _parts(value)
        fresh = [(label, part) for label, part in parts if id(part) not in self._entered]
        for label, part in self._failing(fresh):
            found = self._enter(path + label, part, depth - 1)
            if found:
                return found
        if len(fresh) < len(parts):
            return None
        return path, value, cause

    def _failing(self, parts: Parts) -> Iterator[tuple[str, Any]]:
        """The parts that fail by themselves, in order."""
        while parts and self._try([part for _, part in parts]) is not None:
            start, end = 0, len(parts)
            while end - start > 1:
                middle = (start + end) // 2
                if self._try([part for _, part in parts[start:middle]]) is not None:
                    end = middle
                else:
                    start = middle
            yield parts[start]
            parts = parts[end:]

    def _try(self, value: Any) -> Exception | None:
        self._left -= 1
        if self._left < 0:
            return None
        try:
            self._attempt(value)
        except Exception as error:
            return error
        return None


def _parts(value: Any) -> Parts:
    """What pickle or cloudpickle would write of ``value``."""
    kind = type(value)
    if kind is dict:
        return _items(value.items())
    if kind in (list, tuple):
        return [(f"[{at}]", part) for at, part in enumerate(value)]
    if kind in (set, frozenset):
        return [(f" (member {_short(part)})", part) for part in value]
    if kind is FunctionType:
        return _function_parts(value)
    if kind is MethodType:
        return [(".__self__", value.__self__), (".__func__", value.__func__)]
    if kind is functools.partial:
        return [(f".{name}", getattr(value, name)) for name in ("func", "args", "keywords")]
    if kind in (staticmethod, classmethod):
        return [("", value.__func__)]
    if kind is property:
        return [(f".{name}", getattr(value, name)) for name in ("fget", "fset", "fdel")]
    if kind is CellType:
        return _cell_parts(value)
    if isinstance(value, type | ModuleType):
        bases = enumerate(getattr(value, "__bases__", ()))
        return [(f".__bases__[{at}]", base) for at, base in bases] + _attributes(vars(value))
    return _reduced_parts(value)


def _cell_parts(cell: CellType) -> Parts:
    try:
        return [("", cell.cell_contents)]
    except ValueError:  # not filled yet
        return []


def _function_parts(function: FunctionType) -> Parts:
    closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    parts: Parts = [(f".<closure>.{name}", cell) for name, cell in closure]
    known = function.__globals__
    used = [name for name in _global_names(function.__code__) if name in known]
    parts += [(f".<globals>.{name}", known[name]) for name in used]
    for name in ("__defaults__", "__kwdefaults__", "__annotations__"):
        parts.append((f".{name}", getattr(function, name)))
    return parts + _attributes(vars(function))


def _global_names(code: CodeType) -> list[str]:
    names = [i.argval for i in dis.get_instructions(code) if i.opname.endswith("_GLOBAL")]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names += _global_names(constant)
    return list(dict.fromkeys(names))


def _reduced_parts(value: Any) -> Parts:
    kind = type(value)
    try:
        reducer = cloudpickle.Pickler.dispatch_table.get(kind)
        reduced = reducer(value) if reducer else value.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    except Exception:
        return []
    if not isinstance(reduced, tuple):
        return []
    padded: tuple[Any, ...] = (*reduced, None, None, None, None)
    function, args, state, items, pairs = padded[:5]
    parts: Parts = [] if function is kind else [(f".<{_short_name(function)}>", function)]
    for at, part in enumerate(args or ()):
        own = ".args" if isinstance(value, BaseException) else ".<constructor>"
        parts.append((".__class__" if part is kind else f"{own}[{at}]", part))
    # object's own state is a dict, or a pair of dicts where there are slots.
    for part in state if type(state) is tuple else (state,):
        parts += _attributes(part) if isinstance(part, dict) else [(".<state>", part)]
    parts += [(f"[{at}]", part) for at, part in enumerate(items or ())]
    return parts + _items(pairs or ())


def _attributes(namespace: Any) -> Parts:
    return [(f".{name}", part) for name, part in namespace.items() if name not in _NOT_PICKLED]


def _items(pairs: Iterable[tuple[Any, Any]]) -> Parts:
    parts = []
    for key, part in pairs:
        parts += [(f" (key {_short(key)})", key), (f"[{_short(key)}]", part)]
    return parts


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _SHOWN


def _short(value: Any) -> str:
    try:
        return _repr.repr(value)
    except Exception:
        return f"<{_name(type(value))}>"


def _short_name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _name(kind: type) -> str:
    place = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return place + kind.__qualname__


def _hint(kind: str) -> str:
    for hint, starts in _HINTS.items():
        if kind.startswith(starts):
            return hint
    return _DEFAULT_HINT
