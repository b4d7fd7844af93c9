"""Generators in the local engine: an item is made when somebody asks for it.

The generator runs up to its first ``yield`` inside ``.remote()``, and from then on whenever the
next item is wanted: by ``next`` or ``wait``, and to its end by ``get`` of what ``completed()``
returns, or before the next call of the same actor.  So a debugger stops where the item is
asked for, and a generator without an end can be tried out here too.  Making all items at once
would hang on it; this order is one that several processes could have taken as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from time import monotonic_ns
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from paralab import worker_stamps
from paralab.exceptions import ActorExit
from paralab.local_mode.parts import (
    Actor,
    changed_environment,
    finished,
    left,
    retries,
    users_part,
)
from paralab.messages import FAILED, INLINE
from paralab.object_ref import ObjectRef
from paralab.object_ref_generator import DynamicObjectRefGenerator, ObjectRefGenerator
from paralab.serialization import join_blob, pack
from paralab.task_spec import DYNAMIC, TaskOptions, split_items, split_returns

if TYPE_CHECKING:
    from paralab.local_mode.engine import LocalEngine


class LocalStream:
    """See :class:`paralab.object_ref_generator.ItemStream`."""

    def __init__(
        self,
        engine: LocalEngine,
        ref: ObjectRef,
        call: Callable[[], Any],
        context: dict[str, Any],
        options: TaskOptions,
        function: Callable[..., Any],
        submitted: int,
    ) -> None:
        self.mailbox = engine.mailbox
        self._engine = engine
        self._entry: Any = ref._entry
        self._entry.stream = self
        self._call = call
        self._context = context
        self._options = options
        self._function = function
        self._generator: Any = None
        self._ready: deque[ObjectRef] = deque()
        self._come = 0
        self._made = 0
        self._attempt = 0
        self._ended = False
        self._is_running = False
        running = engine._running.stack
        self._parent = running[-1]["key"] if running else 0
        self._times = [submitted, monotonic_ns(), 0]
        """Submitted, begun, loaded."""
        self.actor: Actor | None = context["actor"]
        if self.actor is not None:
            self.actor.streams.append(self)

    def begin(self) -> Any:
        """Returns what ``.remote()`` does: the generator, begun, or the ref of all its items."""
        ref = ObjectRef(self._entry)
        if self._options.num_returns != DYNAMIC:
            self._step()
            return ObjectRefGenerator(ref, self)
        self.drain()
        if self._entry.error is None:  # always copied, as iterating empties it
            data, _, self._entry.inner = pack(DynamicObjectRefGenerator(self._ready))
            self._entry.blob = join_blob(data, ())
        self._ready.clear()
        return ref

    @property
    def payload(self) -> bool:
        """There is never anything to wait for: the next item is made now."""
        self._fill()
        return True

    def take(self, timeout: float | None) -> ObjectRef:
        """The next item."""
        self._fill()
        try:
            return self._ready.popleft()
        except IndexError:
            raise StopIteration from None

    def finished(self) -> bool:
        """Whether there is no further item, for which it has to be made."""
        self._fill()
        return not self._ready

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """Calls back now."""
        callback()

    def abandon(self) -> None:
        """Closes the generator, as Python does with its own."""
        self._ready.clear()
        if not self._ended:
            with self._running():
                try:
                    getattr(self._generator, "close", lambda: None)()
                except Exception as error:
                    self._end(error)
                    return
            self._end(None)

    def drain(self) -> None:
        """Makes all items, unless it is itself that asks for them."""
        while not self._ended and not self._is_running:
            self._step()

    def _fill(self) -> None:
        if not self._ready and not self._ended:
            self._step()

    @contextmanager
    def _running(self) -> Iterator[None]:
        stack = self._engine._running.stack
        stack.append(self._context)
        self._is_running = True
        actor = self.actor
        runtime_env = self._options.runtime_env if actor is None else actor.runtime_env
        try:
            with nullcontext() if actor is None else actor.lock, changed_environment(runtime_env):
                yield
        finally:
            self._is_running = False
            stack.pop()

    def _step(self) -> None:
        """Runs on to the next item that has not been seen, or to the end."""
        try:
            with self._running():
                item = self._next()
        except StopIteration:
            self._end(None)
        except KeyboardInterrupt:
            raise  # the user's own, at the keyboard
        except (ActorExit, SystemExit) as ending:
            self._lost(left(ending, self._context))
        except BaseException as failure:
            failure.__traceback__ = users_part(failure.__traceback__)
            if retries(failure, self._options, self._attempt):
                self._attempt += 1
                self._generator, self._made = None, 0
                self._step()
            else:
                self._end(failure)
        else:
            self._ready.append(item)

    def _next(self) -> ObjectRef:
        if self.actor is not None and self.actor.dead is not None:
            raise self.actor.dead
        if self._generator is None:
            args, kwargs = self._call()
            self._times[2] = monotonic_ns()
            self._generator = _stepwise(self.actor, self._function(*args, **kwargs))
        while True:
            value = next(self._generator)
            self._made += 1
            if self._made > self._come:
                break
        ref = self._new_item()
        self._engine._store(ref._entry, value)
        return ref

    def _new_item(self) -> ObjectRef:
        self._come += 1
        return self._engine._new_ref(self._entry.key + self._come)

    def _lost(self, error: BaseException) -> None:
        name = self._context["task_name"]
        self._engine._fail(self._entry, error, name)
        self._ready.append(ObjectRef(self._entry))
        self._record(error)

    def _end(self, error: BaseException | None) -> None:
        if error is not None and self.actor is not None and error is self.actor.dead:
            self._lost(error)
            return
        if error is not None:
            item = self._new_item()
            self._engine._fail(item._entry, error, self._context["task_name"])
            self._ready.append(item)
        self._engine._store(self._entry, None)
        self._record(error)

    def _record(self, error: BaseException | None) -> None:
        self._ended = True
        self._entry.stream = self._generator = None
        if self.actor is not None:
            self.actor.streams.remove(self)
        submitted, begun, loaded = self._times
        now = monotonic_ns()
        context = self._context
        caller = (
            *(context["key"], context["task_name"], self._parent, self._attempt, 0),
            *(submitted, begun, begun, begun, begun, context["actor_key"], (), begun),
            *(self._come, 0),
        )
        outcome = INLINE if error is None else FAILED
        worked = worker_stamps.pack(begun, begun, loaded or begun, now, now)
        if self._options.recorded:
            self._engine.events.append((self._entry.owner, caller, worked, now, outcome, 0))


def values_of(
    engine: LocalEngine,
    value: Any,
    refs: list[ObjectRef],
    name: str,
    options: TaskOptions,
    attempt: int,
) -> list[Any]:
    """The values for ``refs``; a generator that breaks off leaves an error in the others."""
    if type(value) is not GeneratorType:
        return split_returns(value, len(refs), name)
    values, error = split_items(value, len(refs), name)
    if error is not None:
        if retries(error, options, attempt):
            raise error
        for ref in refs[len(values) :]:
            engine._fail(ref._entry, error, name)
    return values


class _NoActor:
    """What an async generator that is no method has its event loop from."""

    loop: Any = None


def _stepwise(actor: Actor | None, made: Any) -> Iterator[Any]:
    """The items of a generator; an async one runs in a loop, for one item after the other."""
    if not hasattr(made, "__anext__"):
        return iter(made)
    return _awaited(actor or _NoActor(), made)


def _awaited(owner: Any, made: Any) -> Iterator[Any]:
    async def step() -> Any:
        return await anext(made)

    async def close() -> None:
        await made.aclose()

    try:
        while True:
            try:
                item = finished(owner, step())
            except StopAsyncIteration:
                return
            yield item
    finally:
        finished(owner, close())
