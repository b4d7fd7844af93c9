"""Gives a pool's work to its actors, in one thread.

::

    methods of Pool ──┐                        ┌──▶ actor ──┐   run, define, forget
    puller of an imap ├─▶ events ─▶ dispatcher ┼──▶ actor ──┤
    settled calls   ──┘                        └──▶ actor ──┴─▶ events

All that changes is changed here, so nothing is locked, and an interrupt of the caller can leave
nothing half done: others only put an event into a queue, which is one call into C.

An actor has one chunk at a time while items are long, and a few while they are short, so that it
need not wait for us between two.  Where the caller has given no chunk size, a chunk is what takes
about ``CHUNK_SECONDS`` by the measured time of an item, and never more than a fair share of what
is left.  An actor that dies fails the chunks that it had, and is replaced when there is more to do.
"""

from __future__ import annotations

import itertools
import logging
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.pool import (  # type: ignore[attr-defined]
    ExceptionWithTraceback,
    MaybeEncodingError,
)
from queue import SimpleQueue
from typing import Any, NamedTuple

import paralab
from paralab.call_names import name_of, noting_names, of_items
from paralab.engine import current, installed
from paralab.exceptions import ActorError, ParalabError, TaskError
from paralab.serialization import own
from paralab.shown_text import shown_name
from paralab.util.multiprocessing.results import Outcome, ReadAhead

CHUNK_SECONDS = 0.02
"""Long against the 0.1 ms that a call costs, short against what a person waits for."""
FIRST_CHUNK = 1
"""Items, while nothing is known of their time."""
QUEUE_SECONDS = 0.01
"""Chunks that take less are queued at an actor, as many as take so long."""
WINDOW = 64
"""But no more."""
_WEIGHT = 0.25
"""Of the newest time in the mean."""

_logger = logging.getLogger("paralab")


class Function:
    """What is called, for one ``map``, ``imap`` or ``apply``."""

    _numbers = itertools.count()

    def __init__(self, what: str, call: Any, of: str = "Pool") -> None:
        self.number = next(self._numbers)
        self.name = shown_name(f"{of}.{what} {name_of(call)}")
        self.call = call
        self.spread = what == "starmap"
        """Whether an item is a tuple of arguments."""
        self.seconds: float | None = None
        """Mean time of an item."""

    def took(self, seconds: float, items: int) -> None:
        """Items have been computed in so many seconds."""
        each = max(seconds / max(items, 1), 1e-7)
        if self.seconds is None:
            self.seconds = each
        else:
            self.seconds += _WEIGHT * (each - self.seconds)


class Job:
    """Items for a function.

    A ``map`` has all its items at once and is cut into chunks as it goes; a call of ``imap`` makes
    a job of each chunk.

    Args:
        settle: takes where a chunk began, how many items it had, and its outcome.
        chunk_size: how many items go to an actor together; None for a measured choice.
        arguments: in place of items, those of the one call that it is.
        first: which item of the whole the first one is.
    """

    def __init__(
        self,
        function: Function,
        settle: Callable[[int, int, Outcome], None],
        items: Sequence[Any],
        chunk_size: int | None = None,
        arguments: tuple[Any, ...] = (),
        first: int = 0,
    ) -> None:
        self.function = function
        self.first = first
        self.settle = settle
        self.items = items
        self.chunk_size = chunk_size
        self.arguments = arguments
        self.at = 0

    def cut(self, processes: int) -> tuple[int, Sequence[Any]]:
        """Takes the next chunk; where it begins, and its items."""
        at, left = self.at, len(self.items) - self.at
        size = self.chunk_size
        if size is None:
            seconds = self.function.seconds
            wanted = int(CHUNK_SECONDS / seconds) if seconds else FIRST_CHUNK
            size = max(1, min(wanted, -(-left // (2 * processes))))
        self.at = min(at + size, len(self.items))
        items = self.items[at : self.at]
        if type(items) is range:  # a list takes half the time to pickle
            items = list(items)
        return at, items

    @property
    def is_given(self) -> bool:
        """Whether actors have all of it."""
        return self.at >= len(self.items)

    @property
    def window(self) -> int:
        """How many chunks an actor may have at once."""
        seconds = self.function.seconds
        if seconds is None:
            return 1
        return max(1, min(WINDOW, int(QUEUE_SECONDS / seconds / (self.chunk_size or 1))))


class Chunk(NamedTuple):
    """A part of a job that an actor has."""

    ref: Any
    job: Job
    at: int
    length: int


class Slot:
    """A place for one actor."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.given = 0
        """Chunks that this actor has had."""
        self.inflight: dict[int, Chunk] = {}
        """By the key of its result; an entry leaves when that is settled."""
        self.knows: dict[int, Any] = {}
        """The refs of ``define``, by the function's number, and their values once they are known;
        until the function has gone."""
        self.methods: dict[str, Any] = {}
        """The actor's methods under the names that calls have."""

    def take_leave(self) -> None:
        """The actor ends with its last call; the next one is new to everything."""
        self.actor = None
        self.given = 0
        self.knows.clear()
        self.methods.clear()

    def method(self, method: str, name: str) -> Any:
        """A method of the actor, whose calls are shown as ``name``."""
        found = self.methods.get(name)
        if found is None:
            found = self.methods[name] = getattr(self.actor, method).options(name=name)
        return found


class Dispatcher:
    """The thread's work.

    Args:
        start: makes one actor.
        first: the actors there are, one for each place.
        limit: chunks after which an actor is replaced; None for never.
    """

    def __init__(self, start: Callable[[], Any], first: Sequence[Any], limit: int | None) -> None:
        self.events: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._engine = current()
        self._name = noting_names(self._engine)
        self._start = start
        self._limit = limit
        self._slots = [Slot(actor) for actor in first]
        self._waiting: deque[Job] = deque()
        """Jobs with items that no actor has yet."""
        self._aheads: set[ReadAhead] = set()
        """Of the calls of ``imap`` whose iterable has not ended."""
        self._known: weakref.WeakSet[Function] = weakref.WeakSet()
        """Functions of which some actor has been told."""
        self._closed = False
        self._ended = False

    def run(self) -> None:
        """Serves until the pool is closed and all is done, or until it is terminated."""
        events = self.events
        while not self._ended or not events.empty():
            try:
                while True:  # what has come together is answered together
                    event, *arguments = events.get()
                    event(self, *arguments)
                    del event, arguments
                    if events.empty():
                        break
                if not self._ended:
                    self._feed()
            except Exception as error:
                _logger.exception("A pool has failed.")
                self.terminate(error)
            if self._closed and not (self._waiting or self._aheads or self._busy()):
                self._ended = True
        for slot in self._slots:
            slot.take_leave()  # the last handle: the process ends

    def _busy(self) -> bool:
        return any(slot.inflight for slot in self._slots)

    # -- events ------------------------------------------------------------------------------

    def add(self, job: Job) -> None:
        """There is a job."""
        if self._ended:
            job.settle(0, len(job.items), (False, _terminated()))
        else:
            self._waiting.append(job)

    def reading(self, ahead: ReadAhead) -> None:
        """An iterable is being read."""
        self._aheads.add(ahead)
        if self._ended:
            ahead.stop()

    def read(self, ahead: ReadAhead) -> None:
        """It has come to its end."""
        self._aheads.discard(ahead)

    def settled(self, slot: Slot, key: int) -> None:
        """A call has its result, or has failed."""
        chunk = slot.inflight.pop(key, None)
        if chunk is None:
            return
        outcome = self._take(slot, chunk)
        chunk.job.settle(chunk.at, chunk.length, outcome)
        if self._is_spent(slot) and not slot.inflight:
            slot.take_leave()

    def forget(self, number: int) -> None:
        """A function has gone."""
        for slot in self._slots:
            if slot.knows.pop(number, None) is not None and slot.actor is not None:
                slot.actor.forget.remote(number)

    def close(self) -> None:
        """Nothing more is added."""
        self._closed = True
        for ahead in self._aheads:
            ahead.lift()

    def terminate(self, error: BaseException | None = None) -> None:
        """Ends the actors; what has no result gets an error."""
        failed = (False, error or _terminated())
        for ahead in self._aheads:
            ahead.stop()
        self._aheads.clear()
        for slot in self._slots:
            if slot.actor is not None and installed() is self._engine:
                paralab.kill(slot.actor)
            for chunk in slot.inflight.values():
                chunk.job.settle(chunk.at, chunk.length, failed)
            slot.inflight.clear()
            slot.take_leave()
        while self._waiting:
            job = self._waiting.popleft()
            job.settle(job.at, len(job.items) - job.at, failed)
        self._closed = self._ended = True

    # -- work --------------------------------------------------------------------------------

    def _take(self, slot: Slot, chunk: Chunk) -> Outcome:
        function = chunk.job.function
        try:
            seconds, good, value = self._engine.get_one(chunk.ref, None)
        except ActorError as error:
            slot.take_leave()
            return False, error
        except TaskError as error:  # the function's own errors come as values
            known = slot.knows.get(function.number)
            if known is not None and error.function_name.endswith(".define"):
                return False, error
            return False, MaybeEncodingError(error.cause, f"the result of {function.name}")
        except Exception as error:
            return False, error
        function.took(seconds, chunk.length)
        if function.number in slot.knows:  # the actor has it: no call needs to wait for that
            slot.knows[function.number] = function.number
        if isinstance(value, ExceptionWithTraceback):  # where nothing is pickled on its way
            rebuild, parts = value.__reduce__()
            value = rebuild(*parts)
        return good, value

    def _is_spent(self, slot: Slot) -> bool:
        return self._limit is not None and slot.given >= self._limit

    def _feed(self) -> None:
        """Gives out what there is to the actors that can take it."""
        waiting = self._waiting
        full: set[Slot] = set()
        while waiting and len(full) < len(self._slots):
            job = waiting[0]
            slot = min(self._slots, key=lambda each: (each in full, len(each.inflight)))
            room = job.window - len(slot.inflight)
            if (room <= job.window // 2 and slot.inflight) or self._is_spent(slot):
                full.add(slot)  # it has enough to do until several more fit at once
                continue
            while room > 0 and not job.is_given and not self._is_spent(slot):
                self._give(slot, job)
                room -= 1
            if slot.inflight:  # else what it was given could not even be sent
                full.add(slot)
            if job.is_given:
                waiting.popleft()
                full.clear()

    def _give(self, slot: Slot, job: Job) -> None:
        at, items = job.cut(len(self._slots))
        function = job.function
        if installed() is not self._engine:
            error: Exception = RuntimeError("The session of this pool has been shut down.")
            job.settle(at, len(items), (False, error))
            return
        name = of_items(function.name, job.first + at, len(items))
        try:
            if slot.actor is None:
                slot.actor = self._start()
            if job.arguments:
                call = slot.method("apply", function.name)
                ref = call.remote(own(function.call), *job.arguments)  # and what stands behind it
            else:
                known = slot.knows.get(function.number)
                if known is None:
                    known = self._tell(slot, function)
                ref = slot.method("run", function.name).remote(known, own(items), name)
        except Exception as raised:  # what cannot be pickled: the standard pool raises why
            cause = raised.__cause__
            if isinstance(cause, Exception):
                cause.add_note(str(raised))
            job.settle(at, len(items), (False, cause or raised))
            return
        key = ref._entry.key
        if not job.arguments:
            self._name((key, name))
        slot.given += 1
        slot.inflight[key] = Chunk(ref, job, at, len(items))
        settled = partial(self.events.put, (Dispatcher.settled, slot, key))
        if not self._engine.on_settled(ref, settled):
            settled()

    def _tell(self, slot: Slot, function: Function) -> Any:
        define = slot.actor.define
        known = define.remote(function.number, function.call, function.spread)
        if function not in self._known:
            self._known.add(function)
            note = (Dispatcher.forget, function.number)
            weakref.finalize(function, self.events.put, note).atexit = False
        slot.knows[function.number] = known
        return known


class PoolTerminated(RuntimeError, ParalabError):
    """The pool was terminated before this was done."""


def _terminated() -> BaseException:
    return PoolTerminated("The pool was terminated before this was done.")
