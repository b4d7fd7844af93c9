"""``A.bind(...)`` and its methods: an actor that has not been made, and calls of it.

Calls of one actor depend on their order, so each method node knows the one that was bound before
it on the same actor: whoever executes the later executes the earlier first.  Each ``execute``
makes its own actor.  ``handle.method.bind(...)`` calls an actor that exists.
"""

from __future__ import annotations

from typing import Any, NoReturn

from paralab.dag.dag_node import DAGNode, Run, walk
from paralab.dag.input_node import InputAttributeNode, InputNode


class ClassNode(DAGNode):
    """An actor that has not been made; its attributes are methods to bind.

    Raises:
        ValueError: an argument of the constructor comes from the input of the graph.
    """

    def __init__(
        self,
        cls: Any,
        cls_args: tuple[Any, ...],
        cls_kwargs: dict[str, Any],
        cls_options: dict[str, Any],
        other_args_to_resolve: dict[str, Any] | None = None,
    ) -> None:
        from paralab.actor import ActorClass

        self._class = cls if isinstance(cls, ActorClass) else ActorClass(cls, cls_options)
        self._last_call: ClassMethodNode | None = None
        super().__init__(cls_args, cls_kwargs, cls_options, other_args_to_resolve or {})
        if any(isinstance(node, (InputNode, InputAttributeNode)) for node in walk(self)):
            raise ValueError(
                "InputNode cannot be an argument of a ClassNode's constructor: the input is "
                "known when the graph is executed, and the constructor's arguments when it is "
                "bound. Give the input to a method instead."
            )

    def _body(self) -> str:
        return str(self._class.__wrapped__)

    def _run(self, run: Run) -> Any:
        args, kwargs = run.arguments(self)
        return self._class.remote(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "bind":
            raise AttributeError(f".bind() cannot be used again on {type(self)} ")
        if name == "remote" or name.startswith("__"):
            return super().__getattr__(name)
        getattr(self._class.__wrapped__, name)  # raises for what it does not have
        return _UnboundClassMethodNode(self, name, {})


class _UnboundClassMethodNode:
    """A method of an actor that has not been made; ``bind`` makes a node of it."""

    def __init__(self, node: ClassNode, name: str, options: dict[str, Any]) -> None:
        self._node = node
        self._name = name
        self._options = options

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """A node for one call; a tuple of nodes where ``num_returns`` is more than one."""
        node = ClassMethodNode(
            self._name,
            args,
            kwargs,
            self._options,
            {"parent_class_node": self._node, "prev_class_method_call": self._node._last_call},
        )
        self._node._last_call = node
        given = self._node._class._interface.table[self._name][1]
        return _outputs(node, {**given, **self._options}.get("num_returns"))

    def options(self, **options: Any) -> _UnboundClassMethodNode:
        """The same method with other options."""
        return _UnboundClassMethodNode(self._node, self._name, options)

    def __getattr__(self, name: str) -> NoReturn:
        if name == "remote":
            raise AttributeError(
                ".remote() cannot be used on ClassMethodNodes. Use .bind() instead to express an "
                "symbolic actor call."
            )
        raise AttributeError(name)


class ClassMethodNode(DAGNode):
    """One call of an actor's method, or one of the values that such a call returns."""

    def __init__(
        self,
        method_name: str,
        method_args: tuple[Any, ...],
        method_kwargs: dict[str, Any],
        method_options: dict[str, Any],
        other_args_to_resolve: dict[str, Any],
    ) -> None:
        self._method_name = method_name
        super().__init__(method_args, method_kwargs, method_options, other_args_to_resolve)

    def _body(self) -> str:
        return f"{self._method_name}()"

    def get_method_name(self) -> str:
        """The name of the method."""
        return self._method_name

    @property
    def output_idx(self) -> int | None:
        """Which of several values this stands for; None for the whole call."""
        index: int | None = self._bound_other_args_to_resolve.get("output_idx")
        return index

    @property
    def num_returns(self) -> int:
        """How many refs the call returns."""
        method = self._bound_other_args_to_resolve.get("method")
        given = self._bound_options.get("num_returns")
        return int(given or (method._options.num_returns if method is not None else 1))

    @property
    def is_class_method_call(self) -> bool:
        """Whether this stands for the whole call."""
        return self.output_idx is None

    @property
    def is_class_method_output(self) -> bool:
        """Whether this stands for one of several values."""
        return self.output_idx is not None

    @property
    def class_method_call(self) -> ClassMethodNode | None:
        """The call whose value this is."""
        call: ClassMethodNode | None = self._bound_other_args_to_resolve.get("class_method_call")
        return call

    def _run(self, run: Run) -> Any:
        if self.class_method_call is not None and self.output_idx is not None:
            return run.result(self.class_method_call)[self.output_idx]
        others = self._bound_other_args_to_resolve
        self._run_earlier(run)
        method = others.get("method")
        if method is None:
            method = getattr(run.result(others["parent_class_node"]), self._method_name)
            if self._bound_options:
                method = method.options(**self._bound_options)
        args, kwargs = run.arguments(self)
        return method.remote(*args, **kwargs)

    def _run_earlier(self, run: Run) -> None:
        """Makes the calls that were bound before this one on the same actor, oldest first."""
        waiting = []
        node = self._bound_other_args_to_resolve.get("prev_class_method_call")
        while node is not None and node._stable_uuid not in run.results:
            waiting.append(node)
            node = node._bound_other_args_to_resolve.get("prev_class_method_call")
        for node in reversed(waiting):
            run.result(node)


def bind_method(handle: Any, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``handle.method.bind(...)`` returns; ``method`` has the options that count."""
    others = {"parent_class_node": handle, "method": method}
    node = ClassMethodNode(method._name, args, kwargs, {}, others)
    return _outputs(node, method._options.num_returns)


def _outputs(node: ClassMethodNode, num_returns: Any) -> Any:
    if not isinstance(num_returns, int) or num_returns <= 1:
        return node
    return tuple(
        ClassMethodNode(
            f"return_idx_{index}", (), {}, {}, {"class_method_call": node, "output_idx": index}
        )
        for index in range(num_returns)
    )
