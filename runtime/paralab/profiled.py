"""Calls that are profiled: what their processes are sent in place of the function.

The runtime knows no profiler.  Whoever provides them (found by the entry point group
``paralab.profilers``, or registered when it is imported) makes of a function one that measures
itself; that is what workers are sent, so they need to be told nothing else::

    f.options(profile="cprofile").remote(x)
      FunctionSpec(f)  ──▶  FunctionSpec(Measured(f, requests))  ── pickled ──▶  worker
                                                     provider.measured(f, name, requests)

A method is called through one that every actor has, which measures it; a constructor like a
function.  So a call that is not profiled takes the same way as ever, and pays nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol

from paralab.task_spec import PROFILED, ActorSpec, FunctionSpec

GROUP = "paralab.profilers"


class Request(NamedTuple):
    """What is wanted of a call.

    Attributes:
        tool: name of the profiler.
        id: under which the result is asked for; "" for that of the option ``profile``.
        nested: whether the calls that it submits are profiled too.
        settings: of the tool, pairs of a name and plain data.
    """

    tool: str
    id: str = ""
    nested: bool = False
    settings: tuple[tuple[str, Any], ...] = ()


Requests = tuple[Request, ...]


class Provider(Protocol):
    """A module that has profilers."""

    __name__: str

    def check(self, tools: Sequence[str]) -> None:
        """Raises ValueError where a tool is unknown, cannot run, or excludes another one."""

    def environment(self, tools: Sequence[str]) -> dict[str, str]:
        """Variables with which the workers of calls that these tools measure have to start."""

    def measured(
        self, function: Callable[..., Any], name: str, requests: Requests
    ) -> Callable[..., Any]:
        """A function that does the same and measures itself; generators and coroutines alike."""

    def measured_class(self, cls: Any, name: str, requests: Requests) -> Any:
        """A class whose next instance is made by a constructor that measures itself."""


_provided: list[Any] = []
"""The module that was registered last is used."""


def provide(module: Any) -> None:
    """Registers a module that has profilers, for this process; see :class:`Provider`."""
    if module not in _provided:
        _provided.append(module)


@cache
def _installed() -> Any:
    for each in entry_points(group=GROUP):
        return each.load()
    return None


def provider() -> Any:
    """The module that has the profilers.

    Raises:
        ImportError: none is installed.
    """
    found = _provided[-1] if _provided else _installed()
    if found is None:
        raise ImportError(
            "The option profile= needs profilers, and nothing is installed under the entry point "
            f"{GROUP!r}. They come with paralab_profiling, a part of the distribution 'paralab': "
            "import paralab_profiling, or install it anew."
        )
    return found


def check(tool: str) -> None:
    """Refuses a tool that is unknown or cannot run here.

    Raises:
        ValueError: it cannot; the message says why.
        ImportError: no profilers are installed.
    """
    provider().check([tool])


def with_environment(runtime_env: Mapping[str, Any], tools: Sequence[str]) -> Mapping[str, Any]:
    """An environment for calls that these tools measure: some need workers of their own."""
    variables = provider().environment(tools)
    if not variables:
        return runtime_env
    from paralab.runtime_env.runtime_env import as_runtime_env  # most programs need none

    variables = {**runtime_env.get("env_vars", {}), **variables}
    return as_runtime_env({**runtime_env, "env_vars": variables})


def wanted(tool: str) -> Requests:
    """What the option ``profile=tool`` stands for."""
    return (Request(tool),)


class Measured:
    """A function or class that arrives in a worker as one that measures itself."""

    def __init__(self, module: str, kind: str, thing: Any, name: str, requests: Requests) -> None:
        self.how = module, kind, thing, name, requests
        self.requests = requests
        self._here: Any = None

    @property
    def thing(self) -> Any:
        """The function or class itself."""
        return self.how[2]

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, self.how

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # In local mode, where nothing is pickled on its way.
        if self.how[1] == "measured_class":
            return _made(*self.how)(*args, **kwargs)
        if self._here is None:
            self._here = _made(*self.how)
        return self._here(*args, **kwargs)


def _made(module: str, kind: str, thing: Any, name: str, requests: Requests) -> Any:
    return getattr(importlib.import_module(module), kind)(thing, name, requests)


def measured_function(spec: FunctionSpec, name: str, requests: Requests) -> FunctionSpec:
    """What is submitted instead of ``spec``, under the name ``name``."""
    thing = Measured(provider().__name__, "measured", spec.function, name, requests)
    return replace(spec, function=thing, cache=None)


def measured_actor(spec: ActorSpec, requests: Requests) -> ActorSpec:
    """From what an actor is made instead of ``spec``, whose constructor is measured."""
    cls: Any = Measured(
        provider().__name__, "measured_class", spec.cls, f"{spec.name}.__init__", requests
    )
    return replace(spec, cls=cls, cache=None)


def measured_call(
    method: str, name: str, requests: Requests, args: tuple[Any, ...]
) -> tuple[str, tuple[Any, ...]]:
    """The method and the arguments that are sent instead of ``method`` and ``args``."""
    return PROFILED, (provider().__name__, requests, name, method, *args)
