"""paralab: Python functions and classes as tasks and actors on several processes.

The public API is that of Ray Core::

    import paralab

    @paralab.remote
    def square(x):
        return x * x

    print(paralab.get([square.remote(i) for i in range(4)]))
"""

from __future__ import annotations

import importlib as _importlib
from typing import Any as _Any

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
from paralab.library_name import is_called_ray
from paralab.lifecycle import init, is_initialized, shutdown
from paralab.object_ref import ObjectRef
from paralab.object_ref_generator import DynamicObjectRefGenerator, ObjectRefGenerator
from paralab.runtime_context import get_runtime_context

__all__ = [
    "DynamicObjectRefGenerator",
    "ObjectRef",
    "ObjectRefGenerator",
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
    "install_as_ray",
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


_FROM = {
    **dict.fromkeys(
        (
            "ActorClassID", "ActorID", "FunctionID", "JobID", "NodeID", "PlacementGroupID",
            "TaskID", "UniqueID", "WorkerID",
        ),
        "id_types",
    ),
    **dict.fromkeys(
        (
            "ClientBuilder", "Language", "SCRIPT_MODE", "WORKER_MODE", "client",
        ),
        "other_languages",
    ),
    **dict.fromkeys(("cpp_function", "java_actor_class", "java_function"), "cross_language"),
    **dict.fromkeys(("load_ipython_extension", "unload_ipython_extension"), "ipython_extension"),
    "LoggingConfig": "logging_config",
    "ObjectID": "object_ref",
}  # fmt: skip
"""Rarely used name → the module that has it, loaded at the first use."""


def install_as_ray() -> None:
    """Makes ``import ray`` and its submodules mean paralab, here, in workers and in children.

    Call it before the first ``import ray`` and before :func:`init`.

    Raises:
        RuntimeError: Ray itself has been imported already, or paralab runs already.
    """
    from paralab.as_ray import install_as_ray

    install_as_ray()


def __getattr__(name: str) -> _Any:
    if name == "__version__":
        return _version()
    if name == "__commit__" and is_called_ray():
        return f"paralab-{_installed_version()}"
    if name in _FROM:
        return getattr(_importlib.import_module(f"paralab.{_FROM[name]}"), name)
    from paralab.absent import submodule

    return submodule("paralab", name)


def _version() -> str:
    """Under the alias Ray's release, with which programs compare."""
    if is_called_ray():
        from paralab.as_ray import RAY_RELEASE

        return RAY_RELEASE
    return _installed_version()


def _installed_version() -> str:
    # Reading it takes longer than the rest of the import.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("paralab")
    except PackageNotFoundError:
        return "0+uninstalled"
