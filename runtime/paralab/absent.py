"""What Ray has and paralab has not, by name, and what to use instead.

Whoever imports or asks for one of these gets an error that says so, under paralab's own name
and under the alias.  COMPATIBILITY.md explains the rows at more length.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from paralab.library_name import is_called_ray

_LIBRARY = "It has Ray Core only: use {} itself, and tasks and actors for what is parallel."

ABSENT: dict[str, str] = {
    "air": _LIBRARY.format("the library that you train with"),
    "autoscaler": "There is one machine, and nothing that could start more.",
    "client_builder": "There is no client for clusters elsewhere; init() starts on this machine.",
    "dashboard": "There is no dashboard; see paralab.timeline() and paralab_profiling.",
    "data": _LIBRARY.format("pandas, polars or NumPy"),
    "experimental.channel": "There are no channels between actors; call their methods.",
    "job_submission": "There is no job server; run the program with python.",
    "llm": _LIBRARY.format("the library that serves the model"),
    "rllib": _LIBRARY.format("gymnasium and a library for learning"),
    "serve": _LIBRARY.format("a web framework"),
    "train": _LIBRARY.format("the library that you train with"),
    "tune": _LIBRARY.format("scikit-learn or Optuna"),
    "util.client": "There is no client for clusters elsewhere; init() starts on this machine.",
    "util.collective": "Use actors' methods, or torch.distributed inside of actors.",
    "util.spark": "There is no bridge to Spark.",
    "util.tpu": "TPUs are not managed.",
    "util.tracing": "Nothing is sent to OpenTelemetry; see paralab.timeline().",
    "workflow": "Ray itself has removed it. Use tasks, whose refs are arguments of further tasks.",
}
"""Keyed by what stands behind ``ray.`` or ``paralab.``; the names below a key are absent too."""


def why_absent(name: str) -> str | None:
    """A sentence for the dotted ``name`` behind "ray.", or None if nobody misses it."""
    while name:
        if name in ABSENT:
            library = "ray" if is_called_ray() else "paralab"
            return f"{library}.{name} is not available: paralab does not have it. {ABSENT[name]}"
        name = name.rpartition(".")[0]
    return None


def inside(module: str, name: str) -> str:
    """A sentence for a name of Ray's inside that is asked for in ``module`` and is not there."""
    if is_called_ray():
        module = "ray" + module[len("paralab") :]
    return (
        f"{module} has no {name!r}: it is about Ray's own processes, or about their tables, which "
        "paralab does not have. What programs need stands in the public modules."
    )


def submodule(package: str, name: str) -> ModuleType:
    """The module ``name`` of a package of paralab, as an attribute that loads when it is used.

    Raises:
        AttributeError: there is none; the message says what to use, where that is known.
    """
    inner = package.partition(".")[2]
    problem = why_absent(f"{inner}.{name}" if inner else name)
    if problem is None and not name.startswith("__"):
        try:
            return importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise
    shown = "ray" + package[len("paralab") :] if is_called_ray() else package
    raise AttributeError(problem or f"module {shown!r} has no attribute {name!r}")
