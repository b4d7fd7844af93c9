"""Marks of what is public: ``@PublicAPI``, ``@DeveloperAPI``, ``@Deprecated``.

They add a note to the docstring and change nothing else, but for ``Deprecated(warning=True)``,
which warns at each call.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar, overload

_Marked = TypeVar("_Marked", bound=Callable[..., Any])


class AnnotationType(Enum):
    """What a mark says."""

    DEPRECATED = "Deprecated"
    DEVELOPER_API = "DeveloperAPI"
    PUBLIC_API = "PublicAPI"
    UNKNOWN = "Unknown"


class RayDeprecationWarning(DeprecationWarning):
    """Something will go; shown by default, unlike other deprecation warnings."""


def _mark(thing: Any, kind: AnnotationType, note: str, group: str = "Others") -> None:
    if note:
        thing.__doc__ = f"{inspect.getdoc(thing) or ''}\n\n{note}\n".lstrip()
    thing._annotated = thing.__name__
    thing._annotated_type = kind
    thing._annotated_api_group = group


@overload
def PublicAPI(thing: _Marked, /) -> _Marked: ...
@overload
def PublicAPI(
    *, stability: str = "stable", api_group: str = "Others"
) -> Callable[[_Marked], _Marked]: ...


def PublicAPI(*args: Any, **kwargs: Any) -> Any:  # noqa: N802
    """Marks what users may rely on.

    Args:
        stability: "stable", "beta" or "alpha".
        api_group: a heading under which documentation may show it.
    """
    if len(args) == 1 and not kwargs and callable(args[0]):
        return PublicAPI(stability="stable")(args[0])
    stability = kwargs.get("stability", "stable")
    assert stability in ("stable", "beta", "alpha"), stability
    note = "" if stability == "stable" else f"**PublicAPI ({stability}):** this may still change."

    def wrap(thing: Any) -> Any:
        _mark(thing, AnnotationType.PUBLIC_API, note, kwargs.get("api_group", "Others"))
        return thing

    return wrap


def DeveloperAPI(*args: Any, **kwargs: Any) -> Any:  # noqa: N802
    """Marks what libraries may rely on, with care."""
    if len(args) == 1 and not kwargs and callable(args[0]):
        return DeveloperAPI()(args[0])

    def wrap(thing: Any) -> Any:
        _mark(thing, AnnotationType.DEVELOPER_API, "**DeveloperAPI:** this may change.")
        return thing

    return wrap


def Deprecated(*args: Any, **kwargs: Any) -> Any:  # noqa: N802
    """Marks what will go.

    Args:
        message: what to use in its place.
        warning: whether each call, or each instance made of a class, warns.
    """
    if len(args) == 1 and not kwargs and callable(args[0]):
        return Deprecated()(args[0])
    message = kwargs.pop("message", "")
    warning = kwargs.pop("warning", False)
    if kwargs:
        raise ValueError(f"Unknown kwargs: {kwargs.keys()}")
    text = f"This is deprecated and may be removed. {message}".rstrip()

    def wrap(thing: Any) -> Any:
        if not warning:
            _mark(thing, AnnotationType.DEPRECATED, f"**Deprecated:** {text}")
            return thing
        target = thing.__init__ if inspect.isclass(thing) else thing

        @functools.wraps(target)
        def warns(*args: Any, **kwargs: Any) -> Any:
            warnings.warn(text, RayDeprecationWarning, stacklevel=2)
            return target(*args, **kwargs)

        if inspect.isclass(thing):
            setattr(thing, "__init__", warns)  # noqa: B010 - a class that mypy knows nothing of
        else:
            thing = warns
        _mark(thing, AnnotationType.DEPRECATED, f"**Deprecated:** {text}")
        return thing

    return wrap
