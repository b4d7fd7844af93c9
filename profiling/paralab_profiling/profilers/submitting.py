"""Calls that are submitted where something is profiled are profiled too.

While a block of the driver, or a call that wants its nested calls profiled, is open, the engine's
``submit``, ``call_actor`` and ``create_actor`` are others, on this one engine, and only then: who
profiles nothing pays nothing.  Which requests a submission takes over is told by its context: those
of the call that makes it, or else of the driver's open blocks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from paralab import profiled
from paralab.engine import installed
from paralab.process.lanes import RUNNING as CALL
from paralab.profiled import Measured, Requests
from paralab.task_spec import ACTOR_METHODS, PROFILED, TaskOptions

RUNNING: ContextVar[Requests | None] = ContextVar("paralab_profiled", default=None)
"""What is wanted of the calls that this context submits; None outside of all measured calls."""
_METHODS = ("submit", "call_actor", "create_actor")
_lock = threading.Lock()
_open: list[Requests] = []
"""Of this process: an entry appears when a block or measured call begins and leaves at its end."""
_variants: WeakKeyDictionary[TaskOptions, dict[Any, Any]] = WeakKeyDictionary()
"""What is submitted in place of a function with these options; see :func:`_variant`."""


LISTENERS: dict[profiled.Request, Callable[[Any], None]] = {}
"""Who hears of the refs of calls that this process submits in a block, while the block is open."""


def open_for(requests: Requests) -> None:
    """From here on, submissions take over the requests of a block or call."""
    engine: Any = installed()
    with _lock:
        _open.append(requests)
        if engine is None or "_paralab_before" in vars(engine):
            return
        engine._paralab_before = {name: vars(engine).get(name) for name in _METHODS}
        acts: tuple[Any, ...] = _submit, _call_actor, _create_actor
        for name, act in zip(_METHODS, acts, strict=True):
            setattr(engine, name, partial(act, getattr(engine, name)))


def close_for(requests: Requests) -> None:
    """Undoes :func:`open_for`."""
    engine: Any = installed()
    with _lock:
        if requests in _open:
            _open.remove(requests)
        if _open:
            return
        _variants.clear()
        before = vars(engine).pop("_paralab_before", None) if engine is not None else None
        for name, value in (before or {}).items():
            if value is None:
                delattr(engine, name)
            else:
                setattr(engine, name, value)


def here() -> Requests:
    """What is wanted of a call that is submitted here."""
    running = RUNNING.get()
    if running is not None:
        return running
    if CALL.get() is not None:  # an actor's call that is not measured, beside one that is
        return ()
    found: dict[profiled.Request, None] = {}
    for requests in (*_open,):  # the driver's blocks, or a thread that a measured call started
        found.update(dict.fromkeys(requests))
    return tuple(found)


def joined(inner: Requests, outer: Requests) -> Requests:
    """The requests of a call that has some of its own; a block has what both want.

    Raises:
        ValueError: their tools exclude each other.
    """
    tools = {each.tool for each in outer}
    found = (*outer, *(each for each in inner if each.tool not in tools))
    if len(found) > 1:
        profiled.provider().check([each.tool for each in found])
    return found


def _submit(submit: Any, spec: Any, options: Any, args: Any, kwargs: Any) -> Any:
    wanted = here()
    if not wanted:
        return submit(spec, options, args, kwargs)
    spec, options = _variant(spec, options, wanted)
    return _told(submit(spec, options, args, kwargs), wanted)


def _told(refs: Any, wanted: Requests) -> Any:
    for request in wanted:
        listen = LISTENERS.get(request)
        if listen is not None:
            for ref in refs[:1]:
                listen(ref)
    return refs


def _variant(spec: Any, options: TaskOptions, wanted: Requests) -> tuple[Any, TaskOptions]:
    """The function that measures itself, and options with room for what the engine prepares."""
    found = _variants.setdefault(options, {})
    key = spec, wanted
    if key not in found:
        inner, name = spec, options.name or spec.name
        if type(spec.function) is Measured:
            inner = replace(spec, function=spec.function.thing)
            wanted = joined(spec.function.requests, wanted)
        made = profiled.measured_function(inner, name, wanted)
        around = profiled.with_environment(options.runtime_env, [each.tool for each in wanted])
        found[key] = made, replace(options, cache=None, runtime_env=around)
    variant: tuple[Any, TaskOptions] = found[key]
    return variant


def _call_actor(call: Any, ref: Any, method: str, options: Any, args: Any, kwargs: Any) -> Any:
    wanted = here()
    if not wanted or method in ACTOR_METHODS:
        return call(ref, method, options, args, kwargs)
    if method == PROFILED:
        _module, own, name, method, *rest = args
        args, wanted = tuple(rest), joined(own, wanted)
    else:
        name = options.name or method
    found = _variants.setdefault(options, {})
    if method not in found:
        found[method] = replace(options, cache=None)
    method_there, args = profiled.measured_call(method, name, wanted, args)
    return _told(call(ref, method_there, found[method], args, kwargs), wanted)


def _create_actor(create: Any, spec: Any, options: Any, args: Any, kwargs: Any) -> Any:
    wanted = here()
    if not wanted:
        return create(spec, options, args, kwargs)
    if type(spec.cls) is Measured:
        wanted = joined(spec.cls.requests, wanted)
        spec = replace(spec, cls=spec.cls.thing)
    around = profiled.with_environment(options.runtime_env, [each.tool for each in wanted])
    options = replace(options, runtime_env=around)
    return create(profiled.measured_actor(spec, wanted), options, args, kwargs)
