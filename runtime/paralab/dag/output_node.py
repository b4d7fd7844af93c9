"""``MultiOutputNode``: a graph that ends in several results."""

from __future__ import annotations

from typing import Any

from paralab.dag.dag_node import DAGNode, Run


class MultiOutputNode(DAGNode):
    """Executes to the list of its nodes' results.

    Args:
        args: a list or tuple of nodes.

    Raises:
        ValueError: it is neither.
    """

    def __init__(
        self,
        args: list[DAGNode] | tuple[DAGNode, ...],
        other_args_to_resolve: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(args, (list, tuple)):
            raise ValueError(f"Invalid input type for `args`, {type(args)}.")  # noqa: TRY004
        super().__init__(tuple(args), {}, {}, other_args_to_resolve or {})

    def _body(self) -> str:
        return "__MultiOutputNode__"

    def _run(self, run: Run) -> list[Any]:
        args, _ = run.arguments(self)
        return list(args)
