"""``f.bind(...)``: a task that has not been submitted."""

from __future__ import annotations

from typing import Any

from paralab.dag.dag_node import DAGNode, Run


class FunctionNode(DAGNode):
    """One call of a remote function."""

    def __init__(
        self,
        func_body: Any,
        func_args: tuple[Any, ...],
        func_kwargs: dict[str, Any],
        func_options: dict[str, Any],
        other_args_to_resolve: dict[str, Any] | None = None,
    ) -> None:
        from paralab.remote_function import RemoteFunction

        if not isinstance(func_body, RemoteFunction):
            func_body = RemoteFunction(func_body, func_options)
        self._remote = func_body
        super().__init__(func_args, func_kwargs, func_options, other_args_to_resolve or {})

    def _body(self) -> str:
        return str(self._remote.__wrapped__)

    def _run(self, run: Run) -> Any:
        args, kwargs = run.arguments(self)
        return self._remote.remote(*args, **kwargs)
