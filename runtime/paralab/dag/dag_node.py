"""Graphs of calls that are written down first and run later: ``f.bind(...)``, ``execute``.

A node is one call that has not been made, with other nodes among its arguments.  ``execute``
makes all calls that a node needs, each once, however many other nodes use its result: in one run
every node has one result, which is looked up by the node's id.  Results are refs, and travel to
the next call as refs; nothing is fetched in between.

Nodes are found in arguments and inside lists, tuples, sets and dicts.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from paralab.shown_text import shown_text


class Run:
    """One ``execute``: what was given to it, and the results so far."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args = args
        self.kwargs = kwargs
        self.results: dict[str, Any] = {}

    def result(self, node: DAGNode) -> Any:
        """The result of ``node`` in this run; its call is made now if it was not made before."""
        if node._stable_uuid not in self.results:
            self.results[node._stable_uuid] = node._run(self)
        return self.results[node._stable_uuid]

    def arguments(self, node: DAGNode) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of ``node`` with results in place of nodes."""
        args, kwargs = replaced((node._bound_args, node._bound_kwargs), self.result)
        return args, kwargs


def replaced(value: Any, of: Callable[[DAGNode], Any]) -> Any:
    """``value`` with ``of(node)`` in place of each node in it."""
    if isinstance(value, DAGNode):
        return of(value)
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return kind(replaced(each, of) for each in value)
    if kind is dict:
        return {replaced(key, of): replaced(each, of) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*(replaced(each, of) for each in value))
    return value


class DAGNode:
    """A call that has not been made, or what stands for an input of the whole graph.

    Args:
        args, kwargs: of the call, other nodes among them.
        options: of the call, as ``.options`` takes them.
        other_args_to_resolve: what else the node needs, by name.
    """

    def __init__(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any],
        other_args_to_resolve: dict[str, Any],
    ) -> None:
        self._bound_args = tuple(args or ())
        self._bound_kwargs = dict(kwargs or {})
        self._bound_options = dict(options or {})
        self._bound_other_args_to_resolve = dict(other_args_to_resolve or {})
        self._stable_uuid = uuid.uuid4().hex
        self._last: dict[str, Any] = {}

    def _run(self, run: Run) -> Any:
        raise NotImplementedError(f"{type(self).__name__} cannot be executed.")

    def _body(self) -> str:
        return type(self).__name__

    def execute(self, *args: Any, _ray_cache_refs: bool = False, **kwargs: Any) -> Any:
        """Makes the calls of the graph that ends here.

        Args:
            *args, **kwargs: the inputs, for its :class:`InputNode`.
            _ray_cache_refs: whether to keep the results for
                :meth:`get_object_refs_from_last_execute`.

        Returns:
            what the last call returns: a ref, a handle, or a list of them.

        Raises:
            AssertionError: the graph has two input nodes.
        """
        from paralab.dag.input_node import InputNode

        if len({id(node) for node in walk(self) if isinstance(node, InputNode)}) > 1:
            raise AssertionError("Each DAG should only have one unique InputNode.")
        run = Run(args, kwargs)
        result = run.result(self)
        if _ray_cache_refs:
            self._last = dict(run.results)
        return result

    async def get_object_refs_from_last_execute(self) -> dict[str, Any]:
        """The results of the last ``execute(_ray_cache_refs=True)`` by the nodes' ids."""
        return dict(self._last)

    def clear_cache(self) -> None:
        """Lets go of the results of the last ``execute(_ray_cache_refs=True)``."""
        self._last = {}

    def experimental_compile(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """There are no compiled graphs here.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "experimental_compile(): paralab has no compiled graphs; call execute() on the node "
            "itself, which makes its calls one by one."
        )

    def with_tensor_transport(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """There are no tensor transports here.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "with_tensor_transport(): tensors go through the object store here; leave it out."
        )

    def get_args(self) -> tuple[Any, ...]:
        """The positional arguments, nodes among them."""
        return self._bound_args

    def get_kwargs(self) -> dict[str, Any]:
        """The keyword arguments, nodes among them."""
        return dict(self._bound_kwargs)

    def get_options(self) -> dict[str, Any]:
        """The options of the call."""
        return dict(self._bound_options)

    def get_other_args_to_resolve(self) -> dict[str, Any]:
        """What else the node needs, by name."""
        return dict(self._bound_other_args_to_resolve)

    def get_stable_uuid(self) -> str:
        """The node's id, 32 hexadecimal digits."""
        return self._stable_uuid

    def _get_all_child_nodes(self) -> list[DAGNode]:
        """The nodes among the arguments, each once."""
        found: dict[int, DAGNode] = {}

        def note(node: DAGNode) -> DAGNode:
            found[id(node)] = node
            return node

        replaced((self._bound_args, self._bound_kwargs, self._bound_other_args_to_resolve), note)
        return list(found.values())

    def traverse_and_apply(self, fn: Callable[[DAGNode], Any]) -> None:
        """Calls ``fn`` once with each node of the graph, this one first."""
        for node in list(walk(self)):
            fn(node)

    def apply_recursive(self, fn: Callable[[DAGNode], Any]) -> Any:
        """Rebuilds the graph from its inputs up, with ``fn(node)`` in place of each node."""
        made: dict[str, Any] = {}

        def build(node: DAGNode) -> Any:
            key = node._stable_uuid
            if key not in made:
                made[key] = fn(node._with_children(build))
            return made[key]

        return build(self)

    def _with_children(self, of: Callable[[DAGNode], Any]) -> DAGNode:
        copy: DAGNode = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._bound_args = replaced(self._bound_args, of)
        copy._bound_kwargs = replaced(self._bound_kwargs, of)
        copy._bound_other_args_to_resolve = replaced(self._bound_other_args_to_resolve, of)
        return copy

    def __getattr__(self, name: str) -> Any:
        if name == "remote":
            raise AttributeError(
                f".remote() cannot be used on {type(self)}. To execute the task graph for this "
                "node, use .execute()."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses answer unknown names themselves, so nothing is looked up on a half-made one.
        return _restored, (type(self), self.__dict__)

    def __str__(self) -> str:
        return _text(self, 0)


def _restored(kind: type, state: dict[str, Any]) -> Any:
    node: Any = object.__new__(kind)
    node.__dict__.update(state)
    return node


def walk(node: DAGNode) -> Iterator[DAGNode]:
    """All nodes of the graph that ends in ``node``, each once, ``node`` first."""
    seen = {id(node)}
    line = [node]
    while line:
        each = line.pop(0)
        yield each
        for child in each._get_all_child_nodes():
            if id(child) not in seen:
                seen.add(id(child))
                line.append(child)


def _text(value: Any, depth: int) -> str:
    """A node, or a container of its arguments, over several lines."""
    inner, outer = "    " * (depth + 1), "    " * depth
    if isinstance(value, DAGNode):
        parts = {
            "body": value._body(),
            "args": _text(list(value._bound_args), depth + 1),
            "kwargs": _text(value._bound_kwargs, depth + 1),
            "options": _text(value._bound_options, depth + 1),
            "other_args_to_resolve": _text(value._bound_other_args_to_resolve, depth + 1),
        }
        lines = "".join(f"{inner}{name}={part}\n" for name, part in parts.items())
        return f"({type(value).__name__}, {value._stable_uuid})(\n{lines}{outer})"
    if isinstance(value, list) and value:
        items = "".join(f"{inner}{_text(each, depth + 1)}, \n" for each in value)
        return f"[\n{items}{outer}]"
    if isinstance(value, dict) and value:
        items = "".join(f"{inner}{key}: {_text(each, depth + 1)}\n" for key, each in value.items())
        return f"{{\n{items}{outer}}}"
    return shown_text(str(value))
