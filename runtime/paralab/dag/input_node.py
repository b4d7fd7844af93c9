"""``InputNode``: where what ``execute`` is given enters a graph."""

from __future__ import annotations

from typing import Any, Self

from paralab.dag.dag_node import DAGNode, Run


class DAGInputData:
    """Several inputs: positional ones by number, keyword ones by name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._args = list(args)
        self._kwargs = kwargs

    def __getitem__(self, key: int | str) -> Any:
        _check_key(key)
        return self._args[key] if isinstance(key, int) else self._kwargs[key]


def _check_key(key: object) -> None:
    assert isinstance(key, (int, str)), (
        "Please only use int index or str as first-level key to access fields of dag input."
    )


class InputNode(DAGNode):
    """What ``execute`` is given: ``with InputNode() as x: node = f.bind(x)``.

    A single positional input is the node's value.  Of several, ``x[0]`` is the first and ``x.a``
    or ``x["a"]`` the one given as ``a=``; of a single one they are its item or attribute.

    Args:
        input_type: for documentation only.
    """

    def __init__(
        self,
        *args: Any,
        input_type: Any = None,
        _other_args_to_resolve: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if args or kwargs:
            raise ValueError("InputNode should not take any args or kwargs.")
        self.input_type = input_type
        self._is_open = False
        super().__init__((), {}, {}, _other_args_to_resolve or {})

    def __enter__(self) -> Self:
        self._is_open = True
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def _body(self) -> str:
        return "__InputNode__"

    def _run(self, run: Run) -> Any:
        if not self._is_open:
            raise AssertionError(
                "InputNode is for building a graph inside of its 'with' block: "
                "with InputNode() as x: node = f.bind(x)."
            )
        if len(run.args) == 1 and not run.kwargs:
            return run.args[0]
        return DAGInputData(*run.args, **run.kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattr__(name)
        return InputAttributeNode(self, name, "__getattr__")

    def __getitem__(self, key: int | str) -> InputAttributeNode:
        _check_key(key)
        return InputAttributeNode(self, key, "__getitem__")


class InputAttributeNode(DAGNode):
    """A part of the input: one of several, or an item or attribute of a single one."""

    def __init__(
        self,
        dag_input_node: InputNode,
        key: int | str,
        accessor_method: str,
        input_type: Any = None,
    ) -> None:
        self._key = key
        self._accessor_method = accessor_method
        others = {
            "dag_input_node": dag_input_node,
            "key": key,
            "accessor_method": accessor_method,
            "result_type_string": input_type,
        }
        super().__init__((), {}, {}, others)

    @property
    def key(self) -> int | str:
        """The number or name."""
        return self._key

    def _body(self) -> str:
        return f'["{self._key}"]'

    def _run(self, run: Run) -> Any:
        given = run.result(self._bound_other_args_to_resolve["dag_input_node"])
        if isinstance(given, DAGInputData) or self._accessor_method == "__getitem__":
            return given[self._key]
        return getattr(given, str(self._key))
