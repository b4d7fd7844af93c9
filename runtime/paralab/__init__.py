"""paralab: Python functions and classes as tasks and actors on several processes.

The public API is that of Ray Core::

    import paralab

    @paralab.remote
    def square(x):
        return x * x

    print(paralab.get([square.remote(i) for i in range(4)]))
"""

from __future__ import annotations

from paralab import actor, exceptions
from paralab.actor import method
from paralab.api import (
    available_resources,
    cancel,
    cluster_resources,
    get,
    get_actor,
    get_gpu_ids,
    kill,
    nodes,
    put,
    remote,
    restart_workers,
    timeline,
    wait,
)
from paralab.lifecycle import init, is_initialized, shutdown
from paralab.object_ref import ObjectRef
from paralab.runtime_context import get_runtime_context

__all__ = [
    "ObjectRef",
    "__version__",
    "actor",
    "available_resources",
    "cancel",
    "cluster_resources",
    "exceptions",
    "get",
    "get_actor",
    "get_gpu_ids",
    "get_runtime_context",
    "init",
    "is_initialized",
    "kill",
    "method",
    "nodes",
    "put",
    "remote",
    "restart_workers",
    "shutdown",
    "timeline",
    "wait",
]


def __getattr__(name: str) -> str:
    # Reading the installed version takes longer than the rest of the import.
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("paralab")
        except PackageNotFoundError:
            return "0+uninstalled"
    raise AttributeError(f"module 'paralab' has no attribute {name!r}")
