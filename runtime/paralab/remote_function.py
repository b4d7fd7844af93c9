"""``@remote`` on a function: ``f.remote(...)`` submits a call of it and returns refs at once.

A remote function is a name for two things that never change: the function as workers are
sent it (``FunctionSpec``, one for all variants made by ``.options``), and the options of its
calls.  It is often a global of its own function, so it pickles in two steps, first its id and
then the function, which lets the pickler close that circle; and what arrives twice in one
process is one spec there, found by its id.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from paralab.call_signature import CallSignature, Shape, shape_of
from paralab.engine import Engine, _Slot
from paralab.options import build_task_options, check_num_returns, refuse_in_task_options
from paralab.shown_text import shown_name
from paralab.task_spec import FunctionSpec, TaskOptions

__all__ = ["RemoteFunction"]


class _Known(WeakValueDictionary[bytes, FunctionSpec]):
    """Functions by id.

    ``kept`` holds those that came while somebody wants to see them afterwards; see
    ``sources.keep_definitions``.
    """

    kept: list[FunctionSpec] | None = None

    def __setitem__(self, key: bytes, spec: FunctionSpec) -> None:
        super().__setitem__(key, spec)
        if self.kept is not None:
            self.kept.append(spec)


remote_functions = _Known()
"""Functions known here by id; an entry goes with the last remote function that uses it."""


def settled(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they were given, with the environment checked once, where it is written.

    Paths in it become absolute: a worker may have another folder, and other files.
    """
    given = dict(options)
    if isinstance(given.get("runtime_env"), dict):
        from paralab.runtime_env.runtime_env import as_runtime_env  # most programs need none

        given["runtime_env"] = as_runtime_env(given["runtime_env"])
    if isinstance(given.get("profile"), str):
        from paralab.profiled import with_environment  # most programs need none

        before = given.get("runtime_env") or {}
        if (after := with_environment(before, [given["profile"]])) is not before:
            given["runtime_env"] = after
    return given


def start_engine() -> Engine:
    """Starts paralab for a program that uses it without having called ``init``."""
    from paralab.lifecycle import start_by_itself

    return start_by_itself()


def name_of(definition: Callable[..., Any]) -> str:
    """A function's name as it is shown: without its module and ``<locals>``, as in Ray."""
    name: str = getattr(definition, "__qualname__", type(definition).__qualname__)
    return shown_name(name.rpartition("<locals>.")[2])


def result_of(refs: list[Any], num_returns: int) -> Any:
    """What ``.remote()`` returns: a ref, a generator, a list of refs, or None for no refs."""
    if num_returns == 1 or num_returns < 0:
        return refs[0]
    return refs if num_returns else None


def _max_calls(given: dict[str, Any]) -> int:
    """How often one process may run a function, 0 for any number.

    What has used a GPU may keep its memory, so by default it ends after one call, as in Ray.
    """
    limit: int | None = given.get("max_calls")
    return (1 if given.get("num_gpus") else 0) if limit is None else limit


def _sent(spec: FunctionSpec, options: TaskOptions) -> FunctionSpec:
    """What workers are sent of a function with these options."""
    tool = options.extra.get("profile")
    if tool is None or spec.function is None:  # it has not been unpickled yet
        return spec
    from paralab.profiled import measured_function, wanted  # most programs need none

    return measured_function(spec, options.name or spec.name, wanted(tool))


class RemoteFunction:
    """A function whose calls run as tasks.  Made by :func:`paralab.remote`."""

    _spec: FunctionSpec
    _sent: FunctionSpec
    """The same, or what measures itself in its place."""
    _options: TaskOptions
    _given: dict[str, Any]
    _signature: CallSignature
    _accepted: set[Any]
    __wrapped__: Callable[..., Any]

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        if inspect.iscoroutinefunction(function):
            raise ValueError(
                "'async def' should not be used for remote tasks. You can wrap the async function "
                f"with `asyncio.run(f())`. Got {name_of(function)}."
            )
        is_generator = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        check_num_returns(options.get("num_returns"), is_generator, 5)
        spec = FunctionSpec(function, name_of(function), is_generator)
        remote_functions[spec.id] = spec
        self._set(spec, settled(options), CallSignature(spec.name, shape_of(function)))
        spec.max_calls = _max_calls(self._given)
        functools.update_wrapper(self, function, updated=())

    def _set(self, spec: FunctionSpec, given: dict[str, Any], signature: CallSignature) -> None:
        self._spec = spec
        self._given = given
        self._options = build_task_options(given, is_generator=spec.is_generator, name=spec.name)
        self._sent = _sent(spec, self._options)
        self._signature = signature
        self._accepted = signature.accepted

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Submits one call.

        Args:
            *args, **kwargs: of the function.  A ref given as an argument itself is replaced
                by its value before the function runs; refs inside other values stay refs.

        Returns:
            A ref; a list of refs or None where ``num_returns`` is not 1; an ObjectRefGenerator
            where the function is a generator.

        Raises:
            TypeError: the arguments do not fit the function, or one cannot be pickled.
        """
        engine = _Slot.engine
        if engine is None:
            engine = start_engine()
        if ((len(args), *kwargs) if kwargs else len(args)) not in self._accepted:
            self._signature.check(args, kwargs)
        options = self._options
        if options.num_returns == 1:
            return engine.submit(self._sent, options, args, kwargs)[0]
        return result_of(engine.submit(self._sent, options, args, kwargs), options.num_returns)

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """A node of a graph for one call that is made later, see :mod:`paralab.dag`."""
        from paralab.dag.function_node import FunctionNode

        return FunctionNode(self, args, kwargs, self._given)

    def options(self, **options: Any) -> RemoteFunction:
        """The same function with other options, which are those of :func:`paralab.remote`.

        Returns:
            A new remote function; this one stays as it is.

        Raises:
            ValueError, TypeError: an option is unknown or wrong; the message names it.
        """
        kept = {name: value for name, value in self._given.items() if name != "max_calls"}
        refuse_in_task_options(options)
        check_num_returns(options.get("num_returns"), self._spec.is_generator, 3)
        variant: RemoteFunction = RemoteFunction.__new__(RemoteFunction)
        variant._set(self._spec, {**kept, **settled(options)}, self._signature)
        functools.update_wrapper(variant, self.__wrapped__, updated=())
        return variant

    def _remote(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Ray's older way to write ``.options(...).remote(...)``."""
        return self.options(**options).remote(*(args or ()), **(kwargs or {}))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self._spec.name
        raise TypeError(
            f"Remote functions cannot be called directly. Instead of running '{name}()', "
            f"try '{name}.remote()'; '{name}.__wrapped__()' runs it here."
        )

    def __repr__(self) -> str:
        return f"<remote function {self._spec.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        spec = self._spec
        about = (spec.id, spec.name, spec.is_generator, spec.max_calls)
        made_by = (*about, self._given, self._signature.shape)
        return _rebuild, made_by, spec.function

    def __setstate__(self, function: Callable[..., Any]) -> None:
        # Only ever called while unpickling, on what _rebuild made.  If this is a global of
        # its own function, that is not complete yet: look at nothing in it.
        spec: Any = self._spec
        if spec.function is None:
            spec.function = function
        self._sent = _sent(spec, self._options)
        self.__wrapped__ = self._spec.function


def _rebuild(
    spec_id: bytes,
    name: str,
    is_generator: bool,
    max_calls: int,
    given: dict[str, Any],
    shape: Shape,
) -> RemoteFunction:
    spec = remote_functions.get(spec_id)
    if spec is None:
        nothing_yet: Any = None  # the function follows, see __setstate__
        made = FunctionSpec(nothing_yet, name, is_generator, spec_id, max_calls)
        spec = remote_functions.setdefault(spec_id, made)
    remote: RemoteFunction = RemoteFunction.__new__(RemoteFunction)
    remote._set(spec, given, CallSignature(name, shape))
    return remote
