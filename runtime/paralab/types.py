"""Types for annotations: ``ObjectRef[int]`` is a ref to an object that is an int."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

__all__ = ["ObjectRef"]


class ObjectRef(Generic[T]):
    """Stands for :class:`paralab.ObjectRef` in annotations; nothing is an instance of it."""
