"""Submits a Dask graph as tasks that take each other's refs.

::

    graph ──▶ only what the keys need ──▶ in Dask's own order: one task a node
                                             refs of its inputs ──▶ ref of its result

The whole graph is submitted at once, and the runtime starts each node when its inputs are there.
Our own ref of a result goes as soon as all nodes that need it are submitted; from then on their
tasks hold it.  So a chunk is freed when the last of them has run, as it is in Dask.

Dask's order is kept because it is chosen so that few results exist at a time; ``priority`` of
``dask.annotate`` goes before it.
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
from dask.utils import key_split

import paralab
from paralab.exceptions import TaskError
from paralab.util.dask.annotations import (
    Annotations,
    asked_of,
    graph_of,
    submission_order,
    task_options,
)
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
    **of_nodes: Any,
) -> Any:
    """See :func:`paralab.util.dask.paralab_dask_get`."""
    if num_workers is not None and num_workers < 1:
        raise ValueError(f"num_workers must be at least 1, not {num_workers!r}.")
    join_session(None, None)
    wanted = list(dict.fromkeys(flatten(keys))) if isinstance(keys, list) else [keys]
    given, of_layers = graph_of(dsk, keys)
    graph = convert_legacy_graph(dict(given))
    missing = [key for key in wanted if key not in graph]
    if missing:
        raise KeyError(f"The graph has no key {', '.join(map(repr, missing))}.")
    graph = _needed(graph, wanted)
    options = {**(ray_remote_args or {}), **(remote_args or {})}
    run = _Run(graph, wanted, asked_of(graph, of_layers, of_nodes), options, num_workers)
    with local_callbacks(callbacks) as active:
        watched = Watched(graph, wanted, active) if active else None
        good = False
        try:
            values = run.values(watched)
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


def _tasks(
    graph: Mapping[Any, Any], asked: Annotations, options: Mapping[str, Any]
) -> dict[Any, Any]:
    """The task of each node, by its key; nodes that show and ask the same have the same one."""
    task: Any = paralab.remote(run_node)
    known: dict[tuple[str, str], Any] = {}
    tasks: dict[Any, Any] = {}
    for key, node in graph.items():
        if isinstance(node, DataNode | Alias):
            continue
        name = f"dask {key_split(key)}"
        own = task_options(key, asked[key]) if key in asked else {}
        kind = (name, repr(own) if own else "")
        if kind not in known:
            known[kind] = task.options(**{"name": name, **options, **own})
        tasks[key] = known[kind]
    return tasks


class _Run:
    """One computation.

    Args:
        graph: the nodes by key, all of them needed.
        wanted: the keys whose values are returned.
        asked: the annotations of the nodes.
        options: of all tasks; what is asked for a node goes before them.
        limit: tasks under way at most; None for no limit.

    Raises:
        TypeError, ValueError: an annotation or an option is wrong.
    """

    def __init__(
        self,
        graph: Mapping[Any, Any],
        wanted: Iterable[Any],
        asked: Annotations,
        options: Mapping[str, Any],
        limit: int | None,
    ) -> None:
        self._graph = graph
        self._wanted = list(wanted)
        self._limit = limit
        self._order = submission_order(graph, asked)
        self._tasks = _tasks(graph, asked, options)
        """By key, until the node is submitted."""
        self._refs: dict[Any, Any] = {}
        """By key: until all nodes that need it are submitted, or for good if it is wanted."""
        self._submitted: list[weakref.ref[Any]] = []
        """Of all tasks, as long as anybody has them; for :meth:`cancel`."""

    def values(self, watched: Watched | None) -> dict[Any, Any]:
        """Submits all nodes and waits; the values of the wanted keys."""
        graph, refs = self._graph, self._refs
        uses = Counter(key for node in graph.values() for key in node.dependencies)
        uses.update(self._wanted)
        under_way: list[Any] = []
        for key in self._order:
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
            if watched is not None:
                watched.submitted(key, refs[key])
            for used in node.dependencies:
                uses[used] -= 1
                if not uses[used]:
                    del refs[used]
        under_way.clear()
        if watched is not None:
            watched.until_done()
        return dict(zip(self._wanted, paralab.get([refs[k] for k in self._wanted]), strict=True))

    def _submit(self, key: Any, node: Any) -> Any:
        needed = tuple(node.dependencies)
        ref = self._tasks.pop(key).remote(node, needed, *(self._refs[each] for each in needed))
        self._submitted.append(weakref.ref(ref))
        return ref

    def cancel(self) -> None:
        """Ends what has not run: nobody will take its result."""
        for known in self._submitted:
            ref = known()
            if ref is not None:
                paralab.cancel(ref, force=False)
        self._refs.clear()
