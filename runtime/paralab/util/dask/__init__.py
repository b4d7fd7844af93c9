"""Dask's graphs on paralab: ``dask.compute(..., scheduler=paralab_dask_get)``.

Dask itself is imported by what is used first, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "disable_dask_on_paralab",
    "disable_dask_on_ray",
    "enable_dask_on_paralab",
    "enable_dask_on_ray",
    "paralab_dask_get",
    "ray_dask_get",
]


def paralab_dask_get(dsk: Mapping[Any, Any], keys: Any, **options: Any) -> Any:
    """Computes keys of a Dask graph; a scheduler for ``dask.compute`` and ``dask.config.set``.

    Each node of the graph is a task, "dask" and the start of its key, and runs once, however many
    others need its result.  Results stay in the object store until the last of these has run.
    Arrays that come back are views of the store, read-only.

    ``dask.annotate``, around what builds a layer or around ``compute``, gives options to its nodes,
    and so do options of ``compute`` itself, to those whose layer asks for nothing else:
    ``retries`` (times that a node is tried again, whatever it has raised or if its worker died),
    ``resources`` (``{"CPU": 2, "GPU": 1, "memory": 2e9}`` and custom names, per node),
    ``priority`` (the higher is submitted first, with what it needs) and ``ray_remote_args``, any
    options of a task.  Others, such as ``workers``, are named in a warning.

    Args:
        dsk: the graph, or what has ``__dask_graph__``; old tuples and ``Task`` nodes.
        keys: a key, or lists of them as deep as you like.
        options: ``num_workers``, nodes under way at most, by default as many as the session's
            CPUs can run; ``remote_args`` or ``ray_remote_args``, options of the tasks;
            ``callbacks`` as Dask's own schedulers take them; ``retries``, ``resources`` and
            ``priority`` as annotations.  Those for threads and processes, such as ``chunksize``,
            are ignored, and others are named in a warning.

    Returns:
        The value of the key, or tuples in place of the lists.

    Raises:
        KeyError: the graph has no such key.
        TypeError, ValueError: an annotation or option is not what it should be; no node has run.
        Exception: what a node has raised, with where it happened as its cause.
    """
    from paralab.util.dask.scheduler import compute

    return compute(dsk, keys, **options)


ray_dask_get = paralab_dask_get
"""The same under Ray's name."""


def enable_dask_on_paralab(shuffle: str | None = "tasks") -> Any:
    """From now on, or in a ``with``, Dask computes on paralab.

    Args:
        shuffle: how data frames are shuffled; "tasks" needs no files that all processes share.
    """
    import dask

    method = {} if shuffle is None else {"dataframe.shuffle.method": shuffle}
    return dask.config.set({"scheduler": paralab_dask_get, **method})


def disable_dask_on_paralab() -> Any:
    """From now on, or in a ``with``, Dask chooses its own schedulers."""
    import dask

    return dask.config.set({"scheduler": None, "dataframe.shuffle.method": None})


def enable_dask_on_ray(
    shuffle: str | None = "tasks", use_shuffle_optimization: bool | None = True
) -> Any:
    """:func:`enable_dask_on_paralab` under Ray's name; ``use_shuffle_optimization`` is ignored."""
    return enable_dask_on_paralab(shuffle)


disable_dask_on_ray = disable_dask_on_paralab
"""The same under Ray's name."""
