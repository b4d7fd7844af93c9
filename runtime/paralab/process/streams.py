"""A client's streams: the items of the generators that it has called.

See ``state.streams`` for what is known of each, ``process.producing`` for the other end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from paralab.exceptions import StreamingGeneratorReplayInconsistentError
from paralab.messages import CREDIT, FAILED, INLINE, ITEMS, SEVERAL, STORED
from paralab.object_ref import ObjectRef
from paralab.object_ref_generator import DynamicObjectRefGenerator, ObjectRefGenerator
from paralab.process.links import Link
from paralab.serialization import pack
from paralab.state.lineage import is_lost
from paralab.state.streams import Item, Replay, Stream, StreamTask
from paralab.state.tasks import Task, Template
from paralab.task_spec import DYNAMIC

if TYPE_CHECKING:
    from paralab.process.client import CoreClient

_now = time.monotonic_ns
_NOTHING = pack(None)[0]


class CallerStream(Stream):
    """A stream that can be waited for: what an ``ObjectRefGenerator`` takes from."""

    def __init__(self, core: CoreClient, entry: Any, template: Template) -> None:
        super().__init__(entry, template.options.items_ahead)
        self.gathers = template.num_returns == DYNAMIC
        """Whether the items become the value of one ref, at the end."""
        self._core = core
        self._asked = False
        """Whether a look at the credit is in the mailbox already."""

    def take(self, timeout: float | None) -> ObjectRef | None:
        """See :class:`paralab.object_ref_generator.ItemStream`."""
        if not self.ready and not self._core.waits.until(lambda: self.payload, timeout):
            return None
        try:
            ref = self.ready.popleft()
        except IndexError:  # so it is the end: that comes after the last item
            raise StopIteration from None
        if self.limit > 0 and not self._asked and not self.ended:
            self._asked = True
            self._core.request(self._tell)
        return ref

    def abandon(self) -> None:
        """See :class:`paralab.object_ref_generator.ItemStream`."""
        if self.closed:
            return
        is_over = self.finished()
        self.close()
        if not is_over:
            self._core.request(self._tell)

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """See :class:`paralab.object_ref_generator.ItemStream`."""
        self.callbacks.append(callback)
        if self.payload is not None:
            self.call_back()

    # -- under the baton ---------------------------------------------------------------------

    def _tell(self) -> None:
        """Tells the producer what has changed for it."""
        self._asked = False
        if self.closed:
            self.close()  # once more: an item may have come at the same moment
            self.call_back()
        link = self._core.streams.runs_at(self.key)
        if link is not None and (credit := self.credit()) is not None:
            link.post((CREDIT, self.key, *credit))


class Streams:
    """The stream part of one client."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self.handlers: dict[int, Callable[..., None]] = {ITEMS: self.on_items}

    def submit(
        self, template: Template, actor: Any, key: int, call: Any, argument: ObjectRef | None
    ) -> list[Any]:
        """Leaves a call of a generator in the mailbox; see ``Calls.submit``.  Any thread."""
        core = self._core
        data, top, nested, parent, submitted, pickled = call
        entry = core.ownership.own(key)
        entry.pending = True
        task = StreamTask(
            *(key, template, [], data, top, nested),
            *(parent, submitted, pickled, _now()),
        )
        task.stream = stream = CallerStream(core, entry, template)
        task.argument = argument
        task.actor = actor
        ref: Any = ObjectRef(entry)
        core.mailbox.submissions.append(task)
        if core.mailbox.asleep:
            core.mailbox.wake()
        return [ref if template.num_returns == DYNAMIC else ObjectRefGenerator(ref, stream)]

    # -- under the baton ---------------------------------------------------------------------

    def runs_at(self, key: int) -> Link | None:
        """The process that has the task, None where it has not been sent or is over."""
        task: Task | None = self._core.calls.table.pending.get(key)
        if task is None:
            return None
        if task.actor is None:
            return None if task.worker is None else task.worker.peer
        return task.actor.peer if key in task.actor.inflight else None

    def on_items(self, _link: Link, _kind: int, key: int, first: int, items: Any) -> None:
        """A generator has yielded."""
        task = self._core.calls.table.pending.get(key)
        self._add(key, None if task is None else task.stream, first, items)

    def _add(
        self, key: int, stream: CallerStream | Replay | None, first: int, items: Sequence[Any]
    ) -> None:
        core = self._core
        if isinstance(stream, Replay):
            for number, item in enumerate(items, key + 1 + first):
                if (wanted := stream.wanted.pop(number, None)) is not None:
                    core.objects.settle(wanted, *item)
            stream.come = first + len(items)
            return
        receive, owned = core.ownership.receive, core.ownership.owned
        for index, (outcome, payload, inner) in enumerate(items, first):
            entry = Item(key + 1 + index, core.address, core.mailbox, payload)
            entry.outcome = outcome
            if inner:
                entry.inner = [ObjectRef(receive((ref[0], ref[1]), 1)) for ref in inner]
            owned[entry.key] = entry
            ref = ObjectRef(entry)
            if stream is not None:
                stream.add(ref, len(payload) if type(payload) is bytes else payload[1])
                if outcome == STORED:
                    stream.is_stored = True
        if items and stream is not None and stream.callbacks:
            stream.call_back()

    def answered(self, task: Task, outcome: int, payload: Any) -> None:
        """The task is over; the last items, or the error that it raised, came with the answer."""
        core, stream = self._core, task.stream
        if isinstance(stream, Replay):
            self._replayed(task, stream, outcome, payload)
            return
        if task.cancelled and outcome == FAILED:
            self.failed(stream, payload)
            return
        if outcome == SEVERAL:
            self._add(stream.key, stream, stream.come, payload)
        elif outcome == FAILED:
            self._add(stream.key, stream, stream.come, [(FAILED, payload, None)])
        stream.end()
        entry = stream.entry
        value = _NOTHING
        if stream.gathers:
            value, _, refs = pack(DynamicObjectRefGenerator(stream.ready))
            entry.inner = list(refs)
            stream.ready.clear()
        core.objects.settle(entry, INLINE, value, None)
        stream.call_back()
        if stream.is_stored:
            self._keep(task, stream.key, stream.come)

    def _keep(self, task: Task, key: int, count: int) -> None:
        """A generator is over that has stored items: so that those can be made again."""
        rebuilding, owned = self._core.rebuilding, self._core.ownership.owned
        items = [owned[each] for each in range(key + 1, key + 1 + count) if each in owned]
        rebuilding.keep(task, [entry for entry in items if entry.outcome == STORED])
        rebuilding.make_again([entry for entry in items if is_lost(entry)])

    def _replayed(self, task: Task, stream: Replay, outcome: int, payload: Any) -> None:
        """A generator has run again for the sake of lost items."""
        if outcome == SEVERAL:
            self._add(stream.key, stream, stream.come, payload)
            text = f"{task.template.name} has yielded only {stream.come} items when it ran again."
            payload = self._core.objects.failure(StreamingGeneratorReplayInconsistentError(text))
        self.failed(stream, payload)
        self._keep(task, stream.key, stream.come)

    def failed(self, stream: CallerStream | Replay, failure: bytes) -> None:
        """The task was lost: the ref of its end is the last that the consumer gets."""
        if isinstance(stream, Replay):
            for entry in stream.wanted.values():
                self._core.objects.settle(entry, FAILED, failure, None)
            return
        entry = stream.entry
        if stream.gathers:
            stream.close()
        else:
            entry.refs += 1
            stream.end(ObjectRef(entry))
        self._core.objects.settle(entry, FAILED, failure, None)
        stream.call_back()
