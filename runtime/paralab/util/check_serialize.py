"""``inspect_serializability``: prints what of a value cannot be pickled, level by level.

A function is looked into through its globals and the variables that it closes over, anything
else through its attributes.  What fails and has nothing inside that fails is the culprit.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

from paralab.serialization import pack
from paralab.shown_text import shown_text


class FailureTuple:
    """A value that cannot be pickled, and where it was found.

    Attributes:
        obj: the value.
        path: the names that lead to it from the outermost value, the last one its own.
        parent: what it is an attribute or a variable of.
    """

    def __init__(self, obj: Any, path: tuple[str, ...], parent: Any) -> None:
        self.obj = obj
        self.path = path
        self.parent = parent

    @property
    def name(self) -> str:
        """The name of the variable or attribute that holds it."""
        return self.path[-1] if self.path else ""

    def __repr__(self) -> str:
        way = " -> ".join(self.path)
        said = f"FailTuple({self.name} [path={way}, obj={self.obj}, parent={self.parent}])"
        return shown_text(said)


class _Inspection:
    """One walk: what failed, and where to print."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.failures: set[FailureTuple] = set()
        self._seen: dict[int, Any] = {}  # held, so that an id stays that object's

    def say(self, text: str, level: int = 0) -> None:
        self._file.write("    " * level + shown_text(text) + "\n")

    def look(self, value: Any, path: tuple[str, ...], parent: Any, depth: int, level: int) -> bool:
        """Whether ``value`` can be pickled; what cannot is noted and printed."""
        try:
            pack(value)
        except Exception as error:
            cause = error.__cause__ or error
            self.say(f"!!! FAIL serialization: {cause}", level)
        else:
            return True
        if id(value) in self._seen:
            return False
        self._seen[id(value)] = value
        found = False
        if depth > 0:
            for each_name, each in self._parts(value, level):
                if _pickles(each):
                    continue
                self.say(f"Serializing '{each_name}' {each}...", level + 1)
                found = True
                self.look(each, (*path, each_name), value, depth - 1, level + 1)
        if not found:
            self.failures.add(FailureTuple(value, path or (str(value),), parent))
        return False

    def _parts(self, value: Any, level: int) -> Iterator[tuple[str, Any]]:
        if inspect.isfunction(value):
            variables = inspect.getclosurevars(value)
            self.say(f"Inspecting closure of {value.__name__!r}:", level)
            yield from variables.globals.items()
            yield from variables.nonlocals.items()
        elif isinstance(value, dict):
            for key, each in value.items():
                yield f"[{key!r}]", each
        elif isinstance(value, (list, tuple, set, frozenset)):
            for at, each in enumerate(value):
                yield f"[{at}]", each
        else:
            for name in dir(value):
                is_own = not name.startswith("__") or name == "__wrapped__"
                if is_own and not inspect.isroutine(getattr(type(value), name, None)):
                    try:
                        yield name, getattr(value, name)
                    except Exception:
                        continue


def _pickles(value: Any) -> bool:
    try:
        pack(value)
    except Exception:
        return False
    return True


def inspect_serializability(
    base_obj: Any, name: str | None = None, depth: int = 3, print_file: Any = None
) -> tuple[bool, set[FailureTuple]]:
    """Prints whether a value can be pickled, and if not, which of its parts cannot.

    Args:
        base_obj: the value.
        name: what to call it; its own text if this is None.
        depth: how many levels to look into it.
        print_file: where to print; the standard output if this is None.

    Returns:
        whether it can be pickled, and what inside cannot.
    """
    title = f"Checking Serializability of {base_obj}"
    walk = _Inspection(print_file or sys.stdout)
    line = "=" * min(len(title), 80)
    walk.say(f"{line}\n{title}\n{line}")
    works = walk.look(base_obj, () if name is None else (name,), None, depth, 0)
    if not works:
        walk.say(f"{line}\nVariable: \n")
        for failure in walk.failures:
            walk.say(f"\t{failure!r}")
        walk.say(
            "\nwas found to be non-serializable. There may be others that were not looked at.\n"
            "Make these inside of the function or class that needs them, or leave them out with "
            f"__getstate__.\n{line}"
        )
    return works, walk.failures
