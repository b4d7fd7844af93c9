"""Results in the order in which they come: ``as_completed`` and ``map_unordered``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from paralab.api import get, wait
from paralab.object_ref import ObjectRef
from paralab.remote_function import RemoteFunction

DEFAULT_CHUNK_SIZE = 10
DEFAULT_BACKPRESSURE_SIZE = 100


def as_completed(
    refs: Sequence[ObjectRef],
    *,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    yield_obj_refs: bool = False,
    **kwargs: Any,
) -> Iterator[Any | ObjectRef]:
    """The values of ``refs`` as they come, each time as many as are waited for.

    Args:
        refs: different refs.
        chunk_size: for how many to wait at a time; with 1 nothing waits for a slower one.
        yield_obj_refs: whether refs are yielded instead of values.
        **kwargs: ``timeout`` and ``fetch_local`` of :func:`paralab.wait`.

    Raises:
        ValueError: ``chunk_size`` is below 1, or ``num_returns`` is given.
    """
    _check_chunk_size(chunk_size, kwargs)
    left = list(refs)
    while left:
        results, left = _next_chunk(left, chunk_size, yield_obj_refs, kwargs)
        yield from results


def map_unordered(
    fn: RemoteFunction,
    items: Iterable[Any],
    *,
    backpressure_size: int | None = DEFAULT_BACKPRESSURE_SIZE,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    yield_obj_refs: bool = False,
    **kwargs: Any,
) -> Iterator[Any | ObjectRef]:
    """Calls ``fn`` with each item; yields the results as they come.

    Args:
        fn: a remote function of one argument.
        items: taken only as fast as results are.
        backpressure_size: so many calls are under way at most; None for any number.
        chunk_size, yield_obj_refs, **kwargs: see :func:`as_completed`.

    Raises:
        ValueError: a size is below 1, or ``num_returns`` is given.
    """
    if backpressure_size is not None and backpressure_size <= 0:
        raise ValueError("backpressure_size must be positive.")
    _check_chunk_size(chunk_size, kwargs)
    refs: list[ObjectRef] = []
    for item in items:
        refs.append(fn.remote(item))
        if backpressure_size is not None and len(refs) >= backpressure_size:
            results, refs = _next_chunk(refs, chunk_size, yield_obj_refs, kwargs)
            yield from results
    yield from as_completed(refs, chunk_size=chunk_size, yield_obj_refs=yield_obj_refs, **kwargs)


def _check_chunk_size(chunk_size: int, kwargs: dict[str, Any]) -> None:
    if chunk_size < 1:
        raise ValueError("`chunk_size` must be >= 1")
    if "num_returns" in kwargs:
        raise ValueError("Use the `chunk_size` argument instead of `num_returns`.")


def _next_chunk(
    refs: list[Any], chunk_size: int, yield_obj_refs: bool, kwargs: dict[str, Any]
) -> tuple[list[Any], list[Any]]:
    ready, left = wait(refs, num_returns=min(chunk_size, len(refs)), **kwargs)
    return (ready if yield_obj_refs else get(ready)), left
