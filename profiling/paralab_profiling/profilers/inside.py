"""Around a call, in the process that runs it: the provider that ``paralab.profiled`` looks for.

A function becomes one that does the same between ``start`` and ``stop`` of its sessions; a
generator measures each step to its next item, and a coroutine each step between two waits, or the
whole if the tool knows of coroutines.  A call that cannot be measured runs as it is, and is counted
with the reason.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Generator, Sequence
from contextvars import Token
from typing import Any

from paralab.profiled import Requests
from paralab_profiling.profilers import kept, submitting, tools
from paralab_profiling.profilers.tools import Session, ToolError

__all__ = ["check", "environment", "measured", "measured_class"]


def check(names: Sequence[str]) -> None:
    """Refuses tools that are unknown, cannot run here, or exclude each other."""
    tools.check(names)


def environment(names: Sequence[str]) -> dict[str, str]:
    """Variables with which the workers of calls that these tools measure have to start."""
    return tools.environment(names)


class Span:
    """All sessions of one call."""

    def __init__(self, name: str, requests: Requests) -> None:
        self._sessions: list[tuple[kept.Kept, Session]] = []
        self._running: list[Session] = []
        self._token: Token[Requests | None] | None = None
        self.nested = tuple(request for request in requests if request.nested)
        self.knows_coroutines = True
        for request in requests:
            try:
                of = kept.STORE.of(request)
                with kept.STORE.lock:
                    session = of.collector(name).begin()
            except (ToolError, ValueError) as error:
                kept.STORE.missed(request, str(error))
                continue
            self._sessions.append((of, session))
            self.knows_coroutines = self.knows_coroutines and of.tool.knows_coroutines
        if self.nested:
            submitting.open_for(self.nested)

    def start(self) -> None:
        """The call begins or goes on."""
        self._token = submitting.RUNNING.set(self.nested)
        for of, session in list(self._sessions):
            try:
                session.start()
            except (ToolError, ImportError) as error:
                # A worker with packages of its own may lack the tool's; its call runs all the same.
                why = "its worker cannot import the profiler: " * isinstance(error, ImportError)
                self._sessions.remove((of, session))
                kept.STORE.missed(of.request, f"{why}{error}")
            else:
                self._running.append(session)

    def stop(self) -> None:
        """It waits, or has ended."""
        while self._running:
            self._running.pop().stop()
        if self._token is not None:
            submitting.RUNNING.reset(self._token)
            self._token = None

    def end(self) -> None:
        """It is over."""
        if self.nested:
            submitting.close_for(self.nested)
        for of, session in self._sessions:
            with kept.STORE.lock:
                session.end()
            kept.STORE.ended(of)
        self._sessions.clear()
        kept.STORE.hand_over_if_due()


def measured(function: Callable[..., Any], name: str, requests: Requests) -> Callable[..., Any]:
    """See ``paralab.profiled.Provider``."""
    made: Callable[..., Any]
    if inspect.isgeneratorfunction(function):

        def made(*args: Any, **kwargs: Any) -> Any:
            return run_steps(Span(name, requests), function(*args, **kwargs))

        # Who asks whether this is a generator function must hear that it is.
        made = _as_generator_function(made)
    elif inspect.isasyncgenfunction(function):

        async def made(*args: Any, **kwargs: Any) -> Any:
            span = Span(name, requests)
            items = function(*args, **kwargs)
            try:
                while True:
                    try:
                        item = await run_awaiting(span, items.__anext__())
                    except StopAsyncIteration:
                        return
                    yield item
            finally:
                span.end()
                await items.aclose()

    elif inspect.iscoroutinefunction(function):

        async def made(*args: Any, **kwargs: Any) -> Any:
            span = Span(name, requests)
            try:
                if span.knows_coroutines:
                    span.start()
                    try:
                        return await function(*args, **kwargs)
                    finally:
                        span.stop()
                return await run_awaiting(span, function(*args, **kwargs))
            finally:
                span.end()

    else:

        def made(*args: Any, **kwargs: Any) -> Any:
            span = Span(name, requests)
            try:
                span.start()
                try:
                    return function(*args, **kwargs)
                finally:
                    span.stop()
            finally:
                span.end()

    try:
        functools.update_wrapper(made, function, updated=())
    except (AttributeError, TypeError):
        pass  # a callable that is no function
    return made


def _as_generator_function(made: Callable[..., Any]) -> Callable[..., Any]:
    def made_generator(*args: Any, **kwargs: Any) -> Any:
        return (yield from made(*args, **kwargs))

    return made_generator


def run_steps(span: Span, generator: Any) -> Generator[Any, Any, Any]:
    """Each step of a generator between start and stop."""
    try:
        while True:
            span.start()
            try:
                item = next(generator)
            except StopIteration as end:
                return end.value
            finally:
                span.stop()
            yield item
    finally:
        generator.close()
        span.end()


@types.coroutine
def run_awaiting(span: Span, coroutine: Any) -> Generator[Any, Any, Any]:
    """Each step of a coroutine between two waits between start and stop."""
    steps = coroutine.__await__()
    act: Callable[[], Any] = functools.partial(next, steps)
    while True:
        span.start()
        try:
            waits_for = act()
        except StopIteration as end:
            return end.value
        finally:
            span.stop()
        try:
            value = yield waits_for
        except BaseException as error:
            act = functools.partial(steps.throw, error)
        else:
            act = functools.partial(steps.send, value)


def measured_class(cls: Any, name: str, requests: Requests) -> Any:
    """See ``paralab.profiled.Provider``.

    The process belongs to the one actor that is made of the class, so the class's constructor may
    be another one until it has been called.
    """
    own = vars(cls).get("__init__")
    constructor = cls.__init__
    around = measured(constructor, name, requests)

    def restored() -> None:
        if own is None:
            if "__init__" in vars(cls):
                del cls.__init__
        else:
            cls.__init__ = own

    if inspect.iscoroutinefunction(constructor):

        async def first(self: Any, *args: Any, **kwargs: Any) -> None:
            restored()
            await around(self, *args, **kwargs)

        cls.__init__ = first
    else:

        def first_plain(self: Any, *args: Any, **kwargs: Any) -> None:
            restored()
            around(self, *args, **kwargs)

        cls.__init__ = first_plain
    return cls
