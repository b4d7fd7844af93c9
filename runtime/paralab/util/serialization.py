"""Serializers of the user's own, for classes that do not pickle or could pickle better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paralab.serialization import forget_reducer, set_reducer
from paralab.util.annotations import DeveloperAPI


@DeveloperAPI
def register_serializer(
    cls: type, *, serializer: Callable[[Any], Any], deserializer: Callable[[Any], Any]
) -> None:
    """Has objects of exactly this class written by ``serializer`` in this process.

    What is written carries the deserializer with it, so readers need not register anything.  A
    worker that writes such objects itself, as its results, has to register the class too.

    Args:
        cls: the class; its subclasses are not meant.
        serializer: takes an object and returns something that pickles.
        deserializer: takes what the serializer returned and makes an object of it.

    Raises:
        TypeError: ``cls`` is no class, or one of the two cannot be called.
    """
    if not isinstance(cls, type):
        raise TypeError(f"register_serializer(cls={cls!r}): expected a class.")
    for name, function in (("serializer", serializer), ("deserializer", deserializer)):
        if not callable(function):
            raise TypeError(f"register_serializer({name}={function!r}): expected a function.")
    set_reducer(cls, lambda value: (deserializer, (serializer(value),)))


@DeveloperAPI
def deregister_serializer(cls: type) -> None:
    """Undoes :func:`register_serializer`; does nothing where nothing is registered."""
    forget_reducer(cls)
