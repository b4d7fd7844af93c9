"""A piece of a notebook as a task: its code runs in a namespace of its own, in a worker.

The notebook's side (``%%remote``) finds which names the code reads and compiles it, so that
tracebacks point at the cell's lines; here it is run.  A function that was defined in the notebook
looks its globals up in the notebook, and a copy of it that has travelled, in a copy of those that
it uses.  So functions are given the namespace of the place where they arrive, or a cell that
assigns ``k`` and calls an ``f`` that reads ``k`` would have another result than at home.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType
from typing import Any, NamedTuple

HOME = "__main__"
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})


class CellCode(NamedTuple):
    """A compiled cell."""

    body: CodeType
    last: CodeType | None
    """Its last line, where that is an expression."""
    wants_value: bool = True
    """Whether anybody looks at the value of the last line."""


class CellResult(NamedTuple):
    """What a cell has made."""

    value: Any
    names: dict[str, Any]
    """The names that it has assigned, as far as they can travel."""
    left: dict[str, str]
    """Names whose values cannot, and why."""
    gone: tuple[str, ...]
    """Names that were asked for and that it has deleted, or has not assigned."""


class NotAssigned:
    """Stands for a name that the cell did not assign after all."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<the cell has not assigned {self.name}>"


def execute(code: CellCode, namespace: dict[str, Any]) -> Any:
    """Runs a cell in a namespace; the value of its last line, None if there is none."""
    __tracebackhide__ = True  # IPython then shows the user's own frames only
    exec(code.body, namespace)  # noqa: S102 - the user's own code
    if code.last is None:
        return None
    value = eval(code.last, namespace)  # noqa: S307
    return value if code.wants_value else None


def new_namespace(names: Mapping[str, Any]) -> dict[str, Any]:
    """A namespace that begins with these names."""
    namespace: dict[str, Any] = {"__name__": HOME, "__builtins__": builtins}
    settle(names, namespace)
    return namespace


def settle(names: Mapping[str, Any], namespace: dict[str, Any]) -> None:
    """Brings names into a namespace, and has a notebook's functions look their globals up there.

    What such a function uses comes with it, unless the namespace has that name already.  So do the
    methods of a notebook's class.
    """
    waiting = dict(names)
    while waiting:
        further: dict[str, Any] = {}
        for name, value in waiting.items():
            if type(value) is FunctionType and _is_elsewhere(value, namespace):
                further |= value.__globals__
                value = _at_home(value, namespace)  # noqa: PLW2901
            elif isinstance(value, type) and value.__module__ == HOME:
                further |= _settle_methods(value, namespace)
            namespace[name] = value
        waiting = {
            name: value
            for name, value in further.items()
            if name not in namespace and not name.startswith("__")
        }


def _is_elsewhere(function: FunctionType, namespace: dict[str, Any]) -> bool:
    return function.__module__ == HOME and function.__globals__ is not namespace


def _settle_methods(cls: type, namespace: dict[str, Any]) -> dict[str, Any]:
    """Gives the methods of a class other globals; those that they had."""
    had: dict[str, Any] = {}
    for name, value in list(vars(cls).items()):
        function = getattr(value, "__func__", value)
        if type(function) is FunctionType and _is_elsewhere(function, namespace):
            had |= function.__globals__
            moved: Any = _at_home(function, namespace)
            kind = type(value)
            setattr(cls, name, kind(moved) if kind in (staticmethod, classmethod) else moved)
    return had


def _at_home(function: FunctionType, namespace: dict[str, Any]) -> FunctionType:
    code, name, defaults = function.__code__, function.__name__, function.__defaults__
    copy = FunctionType(code, namespace, name, defaults, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    for attribute in ("__qualname__", "__module__", "__doc__", "__annotations__"):
        setattr(copy, attribute, getattr(function, attribute))
    copy.__dict__.update(function.__dict__)
    return copy


def run_cell(code: CellCode, names: Mapping[str, Any], wanted: tuple[str, ...]) -> CellResult:
    """Runs a cell as a task.

    Args:
        code: the cell.
        names: what it takes from the notebook.
        wanted: the names that it may assign.
    """
    namespace = new_namespace(names)
    value = execute(code, namespace)
    found = {name: namespace[name] for name in wanted if name in namespace}
    left = {name: why for name, each in found.items() if (why := _why_not(each))}
    kept = {name: each for name, each in found.items() if name not in left}
    return CellResult(value, kept, left, tuple(name for name in wanted if name not in found))


def run_cell_for_refs(code: CellCode, names: Mapping[str, Any], wanted: tuple[str, ...]) -> Any:
    """Runs a cell as a task with a result for its value and for each name that it may assign."""
    namespace = new_namespace(names)
    value = execute(code, namespace)
    found = [namespace.get(name, NotAssigned(name)) for name in wanted]
    return (value, *found) if found else value


def as_function(
    code: CellCode, names: Mapping[str, Any], parameter: str, called: str
) -> Callable[[Any], Any]:
    """A cell as a function of one value, so that it can run for many.

    Args:
        code: the cell.
        names: what it takes from the notebook, the same at each call.
        parameter: the name under which it finds the value.
        called: how the function is called.
    """

    def cell(value: Any) -> Any:
        return execute(code, new_namespace({**names, parameter: value}))

    cell.__name__ = cell.__qualname__ = called
    return cell


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls what is no Python function, and so cannot be made remote itself."""
    return function(*args, **kwargs)


class CellActor:
    """Cells run in it one after the other, and what they assign stays."""

    def __init__(self) -> None:
        self._namespace = new_namespace({})

    def run(self, code: CellCode, names: Mapping[str, Any]) -> Any:
        """Runs a cell; the value of its last line."""
        settle(names, self._namespace)
        return execute(code, self._namespace)


def _why_not(value: Any) -> str:
    """Why a value cannot travel; "" if it can."""
    if type(value) in _PLAIN:
        return ""
    from paralab.serialization import pack

    try:
        pack(value)
    except Exception as error:  # the user's objects may do anything
        return str(error)
    return ""
