"""Under which names this process holds refs: variables, IPython's outputs, an actor's attributes.

The counts of ``state.ownership`` say that a process holds a ref, and not where.  When somebody
asks, the objects behind each name are searched: containers, attributes, closures, and arrays,
which keep the ref to the shared memory that they look at.  ::

    Out[3] ──▶ DataFrame ──▶ array ──▶ base ──▶ memoryview ──▶ its exporter ──▶ ref

The search goes down from names.  The other way, ``gc.get_referrers`` from the ref, ends at the
first array, because the garbage collector does not know what arrays hold.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    ModuleType,
    TracebackType,
)
from typing import Any

from paralab.engine import installed
from paralab.ids import Address
from paralab.object_ref import ObjectRef

MOST_OBJECTS = 200_000
"""Looked at behind one name."""
_ATOMS = (str, bytes, bytearray, int, float, complex, bool, type(None), type)
_CLOSED = (*_ATOMS, ModuleType, CodeType, BuiltinFunctionType)
_HOLDERS = "paralab.store.mapping", "paralab.process.looking"
"""Modules whose objects hold a ref for as long as somebody looks at the store."""
OUT = "of IPython"


def rows(limit: int) -> list[tuple[Address, int, str]]:
    """Owner and key of an object, and a name that holds it; one row for each such name."""
    found: list[tuple[Address, int, str]] = []
    for name, value in _roots():
        for ref in _refs_below(value):
            found.append((ref._entry.owner, ref._entry.key, name))
            if len(found) >= limit:
                return found
    return found


def _roots() -> Iterator[tuple[str, Any]]:
    """What is to be searched, under the names that are to be told."""
    instance = getattr(getattr(installed(), "executor", None), "instance", None)
    if instance is not None:
        yield f"the actor's {type(instance).__qualname__} instance", instance
    shells = sys.modules.get("IPython.core.interactiveshell")
    names, hidden = dict(vars(sys.modules["__main__"])), dict[str, Any]()
    if shells is not None and shells.InteractiveShell.initialized():
        shell = shells.InteractiveShell.instance()
        names, hidden = dict(shell.user_ns), dict(shell.user_ns_hidden)
        for number, value in dict(names.get("_oh", {})).items():
            yield f"Out[{number}] {OUT}", value
        # IPython keeps these twice, and 'del' or '%reset out' reaches one of them only.
        for name, value in [*names.items(), *hidden.items()]:
            if re.fullmatch(r"_{1,3}|_\d+", name):
                yield (f"Out[{name[1:]}] {OUT}" if name[1:].isdigit() else f"{name} {OUT}"), value
    else:
        yield "_ of the prompt", getattr(sys.modules["builtins"], "_", None)
    for name, value in names.items():
        if not name.startswith("_") and name not in hidden:
            yield f"variable {name}", value
    error = getattr(sys, "last_value", None)
    if error is not None:
        yield "the last traceback (sys.last_value)", error


def _refs_below(root: Any) -> Iterator[ObjectRef]:
    """The refs that can be reached from an object, each once."""
    seen, todo = {id(root)}, [root]
    while todo and len(seen) < MOST_OBJECTS:
        value = todo.pop()
        if isinstance(value, ObjectRef):
            yield value
            continue
        for child in _held_by(value):
            if not isinstance(child, _ATOMS) and id(child) not in seen:
                seen.add(id(child))
                todo.append(child)


def _held_by(value: Any) -> list[Any]:
    """What an object keeps alive, as far as users mean it by that."""
    if isinstance(value, _CLOSED):
        return []
    module = type(value).__module__
    if module.startswith("paralab.") and not isinstance(value, BaseException):
        # An actor's handle, or the exporter of a view; the rest is our own business.
        return gc.get_referents(value) if module in _HOLDERS else [getattr(value, "_ref", None)]
    if isinstance(value, FunctionType):  # its globals are names of their own
        return [value.__closure__, value.__defaults__, value.__kwdefaults__, value.__dict__]
    if isinstance(value, TracebackType):
        return [value.tb_frame, value.tb_next]
    if isinstance(value, FrameType):
        return [] if value.f_code.co_name == "<module>" else list(value.f_locals.values())
    found = gc.get_referents(value)
    if isinstance(value, BaseException):
        return [value.__traceback__, value.__cause__, value.__context__, *found]
    if isinstance(value, memoryview):
        return [value.obj]
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return [value.base, *found, *(value.flat if value.dtype == object else ())]
    return found
