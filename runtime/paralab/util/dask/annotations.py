"""What ``dask.annotate`` asks for the nodes of a graph.

::

    layers ──Dask's own optimisation──▶ by name, by key ──┬▶ options of the node's task
    ``with annotate``, options of compute ▶ for all others ┘  and when it is submitted

Annotations belong to layers.  Dask's fusion of nodes into longer ones knows none, so it is off
where a layer has any; blockwise fusion, which joins the annotations, stays.  What is lost in
spite of this is said.

Source: ``HLGExpr.__dask_annotations__`` in Dask's ``_expr.py``, as of 2025.4 and later.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Real
from typing import Any

import dask
from dask._expr import Expr, HLGExpr, _AnnotationsTombstone
from dask.core import flatten
from dask.highlevelgraph import HighLevelGraph
from dask.order import order

_FUSE = "optimization.fuse.active"
_ARGS = ("ray_remote_args", "remote_args")
_KNOWN = ("retries", "resources", "priority", *_ARGS)
_OF_DASKS_OWN = (
    *("cache", "chunksize", "dumps", "func_dumps", "func_loads", "get_id", "initializer", "loads"),
    *("optimize_graph", "pack_exception", "pool", "raise_exception", "rerun_exceptions_locally"),
)
"""Options of its schedulers for threads and processes, which change no result."""
_OWN_OPTIONS = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
"""By the name of a resource, the option that asks for it."""

Annotations = dict[Any, dict[str, Any]]
"""By key: what is asked for that node, by name."""


def graph_of(dsk: Any, keys: Any) -> tuple[Mapping[Any, Any], dict[str, dict[Any, Any]]]:
    """A graph as Dask has optimised it, and the annotations of its layers by name and by key."""
    if not isinstance(dsk, (Expr, Mapping)):
        dsk = dsk.__dask_graph__()
    if isinstance(dsk, HighLevelGraph):
        wanted = list(flatten(keys)) if isinstance(keys, list) else [keys]
        dsk = HLGExpr(dsk=dsk, output_keys=wanted)
    if not isinstance(dsk, Expr):
        return dsk, {}
    layers = [
        layer
        for part in dsk.walk()
        if isinstance(part, HLGExpr)
        for layer in part.hlg.layers.values()
    ]
    asked = {name for layer in layers for name in layer.annotations or ()}
    unfused = {_FUSE: False} if asked and dask.config.get(_FUSE, None) is None else {}
    with dask.config.set(unfused):
        graph, found = dsk.__dask_graph__(), dsk.__dask_annotations__()
    lost = sorted(asked.intersection(_KNOWN).difference(found))
    if lost:
        warnings.warn(
            f"Dask's optimisation of this graph has dropped the annotations {_shown(lost)}: "
            "compute(optimize_graph=False) keeps them.",
            stacklevel=3,
        )
    return graph, found


def asked_of(
    graph: Mapping[Any, Any],
    of_layers: Mapping[str, Mapping[Any, Any]],
    options: Mapping[str, Any],
) -> Annotations:
    """What is asked for each node of a graph: by its layer, by an option, or around compute.

    Names that mean nothing here are said in a warning.

    Args:
        options: of compute, by name; those that Dask's own schedulers alone use are passed over.
    """
    options = {name: value for name, value in options.items() if name not in _OF_DASKS_OWN}
    around = {**dask.get_annotations(), **options}
    unknown = sorted({*of_layers, *around}.difference(_KNOWN))
    if unknown:
        warnings.warn(
            f"The annotations or options {_shown(unknown)} mean nothing on paralab and are "
            f"ignored; known are {_shown(_KNOWN)}.",
            stacklevel=4,
        )
    asked: Annotations = {}
    for name in _KNOWN:
        layers = of_layers.get(name, {})
        if not layers and name not in around:
            continue
        everywhere = around.get(name, _AnnotationsTombstone())
        for key in graph:
            value = layers.get(key, everywhere)
            if callable(value):
                value = value(key)
            if not isinstance(value, _AnnotationsTombstone):
                asked.setdefault(key, {})[name] = value
    return asked


def _shown(names: Any) -> str:
    return ", ".join(map(repr, names))


def task_options(key: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a node's task.

    Raises:
        TypeError, ValueError: one is not what it should be; names it and the key.
    """
    options: dict[str, Any] = {}
    for name in _ARGS:
        options |= _checked(key, name, asked.get(name, {}), Mapping, "a dict of a task's options")
    if "retries" in asked:
        retries = _checked(key, "retries", asked["retries"], int, "a whole number")
        if retries < 0:
            raise ValueError(f"retries={retries!r}, asked for {key!r}, is below 0.")
        # In Dask, too, a node is tried again whatever it has raised.
        options |= {"max_retries": retries, "retry_exceptions": True}
    if "resources" in asked:
        expected = "a dict of amounts by name"
        given = dict(_checked(key, "resources", asked["resources"], Mapping, expected))
        options |= {_OWN_OPTIONS[name]: given.pop(name) for name in _OWN_OPTIONS if name in given}
        if given:
            options["resources"] = {**(options.get("resources") or {}), **given}
    return options


def _checked(key: Any, name: str, value: Any, kind: Any, expected: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name}={value!r}, asked for {key!r}, is not {expected}.")
    return value


def submission_order(graph: Mapping[Any, Any], asked: Annotations) -> list[Any]:
    """The keys of a graph, each after what it needs: the most urgent first, then in Dask's order.

    What an urgent node needs is as urgent.

    Raises:
        TypeError: a priority is not a number.
    """
    rank = order(graph)
    keys = sorted(graph, key=rank.__getitem__)
    urgent = {
        key: _checked(key, "priority", names["priority"], Real, "a number")
        for key, names in asked.items()
        if "priority" in names
    }
    if not urgent:
        return keys
    for key in reversed(keys):
        for needed in graph[key].dependencies:
            urgent[needed] = max(urgent.get(needed, 0), urgent.get(key, 0))
    return sorted(keys, key=lambda key: -urgent.get(key, 0))
