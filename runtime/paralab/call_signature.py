"""Whether a call fits a function, decided once for each shape of call.

``inspect.Signature.bind`` takes microseconds, more than the rest of ``.remote()``.  Whether it
succeeds depends on how many positional arguments there are and on the names of the others,
so each such shape is bound once and remembered.  A signature travels as names, kinds and
which have defaults; the defaults themselves stay at home.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from paralab.shown_text import shown_text

Shape = tuple[tuple[str, int, bool], ...]
"""For each parameter its name, its kind and whether it has a default."""

_KINDS = {int(kind): kind for kind in inspect._ParameterKind}
_REMEMBERED = 256
_ANYTHING: Shape = (
    ("args", int(inspect.Parameter.VAR_POSITIONAL), False),
    ("kwargs", int(inspect.Parameter.VAR_KEYWORD), False),
)


class _SomeDefault:
    def __repr__(self) -> str:
        return "..."


_SOME_DEFAULT = _SomeDefault()


def shape_of(function: Callable[..., Any], skip_first: bool = False) -> Shape:
    """The parameters of ``function``; of any call where Python does not know them."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return _ANYTHING
    if skip_first and parameters and parameters[0].kind <= inspect.Parameter.VAR_POSITIONAL:
        if parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            del parameters[0]
    return tuple(
        (parameter.name, int(parameter.kind), parameter.default is not parameter.empty)
        for parameter in parameters
    )


class CallSignature:
    """Checks calls of one function.

    ``accepted`` holds the shapes of calls known to fit: the number of arguments of calls
    without keywords, else ``(number, *keywords)``.  Callers look there first.
    """

    __slots__ = ("accepted", "name", "shape")

    def __init__(self, name: str, shape: Shape) -> None:
        self.name = name
        self.shape = shape
        self.accepted: set[int | tuple[int | str, ...]] = set()

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Remembers that calls like this one fit, or raises TypeError."""
        signature = self._signature()
        try:
            signature.bind(*args, **kwargs)
        except TypeError as problem:
            keywords = f" and the keywords {', '.join(kwargs)}." if kwargs else "."
            why = (
                f"{problem}: the call does not fit {self.name}{signature}; it got "
                f"{len(args)} positional argument{'' if len(args) == 1 else 's'}{keywords}"
            )
            raise TypeError(shown_text(why)) from None
        if len(self.accepted) < _REMEMBERED:
            self.accepted.add((len(args), *kwargs) if kwargs else len(args))

    def _signature(self) -> inspect.Signature:
        default = (inspect.Parameter.empty, _SOME_DEFAULT)
        return inspect.Signature(
            [
                inspect.Parameter(name, _KINDS[kind], default=default[has_default])
                for name, kind, has_default in self.shape
            ]
        )
