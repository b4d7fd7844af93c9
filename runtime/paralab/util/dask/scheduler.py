"""Submits a Dask graph as tasks that take each other's refs.

::

    graph ──▶ only what the keys need ──▶ in Dask's own order: one task a node
                                             refs of its inputs ──▶ ref of its result

The whole graph is submitted at once, and the runtime starts each node when its inputs are there.
Our own ref of a result goes as soon as all nodes that need it are submitted; from then on their
tasks hold it.  So a chunk is freed when the last of them has run, as it is in Dask.

Dask's order is kept because it is chosen so that few results exist at a time.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from dask._task_spec import Alias, DataNode, convert_legacy_graph
from dask.callbacks import local_callbacks
from dask.core import flatten
from dask.local import nested_get
from dask.order import order
from dask.utils import key_split

import paralab
from paralab.exceptions import TaskError
from paralab.util.dask.watching import Watched
from paralab.util.multiprocessing.pool import join_session


def run_node(node: Any, keys: tuple[Any, ...], *values: Any) -> Any:
    """Runs one node; ``values`` are the results of the nodes ``keys``."""
    return node(dict(zip(keys, values, strict=True)))


def compute(
    dsk: Any,
    keys: Any,
    *,
    num_workers: int | None = None,
    callbacks: Any = None,
    remote_args: Mapping[str, Any] | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **_of_others: Any,
) -> Any:
    """See :func:`paralab.util.dask.paralab_dask_get`."""
    if num_workers is not None and num_workers < 1:
        raise ValueError(f"num_workers must be at least 1, not {num_workers!r}.")
    join_session(None, None)
    wanted = list(dict.fromkeys(flatten(keys))) if isinstance(keys, list) else [keys]
    if not isinstance(dsk, Mapping):
        dsk = dsk.__dask_graph__()
    graph = convert_legacy_graph(dict(dsk))
    missing = [key for key in wanted if key not in graph]
    if missing:
        raise KeyError(f"The graph has no key {', '.join(map(repr, missing))}.")
    graph = _needed(graph, wanted)
    options = {**(ray_remote_args or {}), **(remote_args or {})}
    with local_callbacks(callbacks) as active:
        watched = Watched(graph, wanted, active) if active else None
        run = _Run(graph, wanted, options, num_workers, watched)
        good = False
        try:
            values = run.values()
            good = True
        except TaskError as error:
            raise _cause(error) from error.with_traceback(None)
        finally:
            if not good:
                run.cancel()
            if watched is not None:
                watched.finish(good)
    return nested_get(keys, values)


def _needed(graph: Mapping[Any, Any], wanted: Iterable[Any]) -> dict[Any, Any]:
    """The part of a graph without which some of the keys could not be computed."""
    needed: dict[Any, Any] = {}
    todo = list(wanted)
    while todo:
        key = todo.pop()
        if key not in needed:
            needed[key] = graph[key]
            todo += graph[key].dependencies
    return needed


def _cause(error: TaskError) -> BaseException:
    """What the user's code has raised first: that of a node that others have waited for."""
    cause: BaseException = error
    while isinstance(cause, TaskError):
        cause = cause.cause
    return cause


class _Run:
    """One computation.

    Args:
        graph: the nodes by key, all of them needed.
        wanted: the keys whose values are returned.
        options: of the tasks.
        limit: tasks under way at most; None for no limit.
    """

    def __init__(
        self,
        graph: Mapping[Any, Any],
        wanted: Iterable[Any],
        options: Mapping[str, Any],
        limit: int | None,
        watched: Watched | None,
    ) -> None:
        self._graph = graph
        self._wanted = list(wanted)
        self._limit = limit
        self._watched = watched
        self._task: Any = paralab.remote(run_node)
        self._options = options
        self._named: dict[str, Any] = {}
        """The task under each name that it shows."""
        self._refs: dict[Any, Any] = {}
        """By key: until all nodes that need it are submitted, or for good if it is wanted."""
        self._submitted: list[weakref.ref[Any]] = []
        """Of all tasks, as long as anybody has them; for :meth:`cancel`."""

    def values(self) -> dict[Any, Any]:
        """Submits all nodes and waits; the values of the wanted keys."""
        graph, refs = self._graph, self._refs
        priority = order(graph)
        uses = Counter(key for node in graph.values() for key in node.dependencies)
        uses.update(self._wanted)
        under_way: list[Any] = []
        for key in sorted(graph, key=priority.__getitem__):
            node = graph[key]
            if isinstance(node, DataNode):
                refs[key] = paralab.put(node())
            elif isinstance(node, Alias):
                (target,) = node.dependencies
                refs[key] = refs[target]
            else:
                if self._limit is not None and len(under_way) >= self._limit:
                    _done, under_way = paralab.wait(under_way, num_returns=1)
                refs[key] = self._submit(key, node)
                if self._limit is not None:
                    under_way.append(refs[key])
            if self._watched is not None:
                self._watched.submitted(key, refs[key])
            for used in node.dependencies:
                uses[used] -= 1
                if not uses[used]:
                    del refs[used]
        under_way.clear()
        if self._watched is not None:
            self._watched.until_done()
        return dict(zip(self._wanted, paralab.get([refs[k] for k in self._wanted]), strict=True))

    def _submit(self, key: Any, node: Any) -> Any:
        name = f"dask {key_split(key)}"
        task = self._named.get(name)
        if task is None:
            task = self._named[name] = self._task.options(**{"name": name, **self._options})
        needed = tuple(node.dependencies)
        ref = task.remote(node, needed, *(self._refs[each] for each in needed))
        self._submitted.append(weakref.ref(ref))
        return ref

    def cancel(self) -> None:
        """Ends what has not run: nobody will take its result."""
        for known in self._submitted:
            ref = known()
            if ref is not None:
                paralab.cancel(ref, force=False)
        self._refs.clear()
