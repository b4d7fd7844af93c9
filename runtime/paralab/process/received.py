"""A call as the worker that runs it knows it, and the reply that ends it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from paralab.messages import ACTOR, FAILED, INLINE, METHOD, RESULT, SEVERAL, STORED
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.process.objects import one_more
from paralab.remote_errors import pack_failure
from paralab.serialization import load_args, pack, read
from paralab.task_spec import split_items, split_returns

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class WorkerTemplate:
    """What this worker knows of a caller's function or method."""

    __slots__ = (
        "concurrency",
        "data",
        "fresh",
        "function",
        "function_id",
        "group",
        "max_calls",
        "method",
        "name",
        "num_returns",
        "refs",
        "retries",
        "subject",
        "what",
    )

    def __init__(
        self,
        what: int,
        name: str,
        num_returns: int,
        function_id: bytes,
        rest: Any,
        refs: Any,
        retries: bool,
    ) -> None:
        self.what = what
        self.name = name
        self.subject = f"the result of {name}"
        self.num_returns = num_returns
        self.function_id = function_id
        self.method = self.group = ""
        self.data = b""
        self.max_calls = 0
        self.fresh = True
        """Nothing of it has begun in this process."""
        self.concurrency: tuple[bool, dict[str, int]] | None = None
        """Of an actor that runs several calls at once; see ``process.lanes``."""
        if what == METHOD:
            self.method, self.group = rest
        elif what == ACTOR:
            self.data, self.concurrency = rest
        else:
            self.data, self.max_calls = rest
        self.refs: list[ObjectRef] = refs
        self.function: Callable[..., Any] | None = None
        self.retries = retries
        """Whether a call that raises may be run again."""


class Call:
    """One call in the queue.  What most never need stands in the class."""

    top: Sequence[Any] = ()
    """Arguments that were refs: place, outcome, payload, and a ref where it lies in the arena."""
    nested: Sequence[ObjectRef] = ()
    """Refs that came with the call and are held until its reply."""
    argument: ObjectRef | None = None
    inner: Sequence[ObjectRef] = ()
    """Refs inside the results."""
    cancelled = False
    with_children = False
    """Whether what it has submitted was cancelled with it."""
    begun = 0
    """Of a call in a lane: the thread that has entered it."""
    leaves = False
    """It has called ``exit_actor`` in an event loop."""
    wanted: Sequence[int] | None = None
    """Of one that runs again because results of it were lost: which.  None: all."""
    flow: Any = None
    """What its caller allows a generator (``process.producing``)."""

    def __init__(
        self, link: Link, key: int, template: WorkerTemplate, data: Any, received: int
    ) -> None:
        self.link = link
        self.key = key
        self.template = template
        self.data = data
        self.received = received


def arguments(core: CoreClient, call: Call) -> tuple[Any, dict[str, Any]]:
    """What a call's function is called with."""
    data = call.data if type(call.data) is bytes else stored_arguments(core, call)
    args, kwargs = load_args(data)
    return fill(core, call, args, kwargs) if call.top else (args, kwargs)


def packed_result(core: CoreClient, call: Call, result: Any) -> tuple[int, Any]:
    """Outcome and payload of what a call has returned."""
    template = call.template
    if template.num_returns != 1:
        return keep_several(core, call, result, template.num_returns)
    data, buffers, refs = pack(result, template.subject, "result")
    call.inner = refs
    return core.objects.keep(call.link.address, call.key, data, buffers)


def stored_arguments(core: CoreClient, call: Call) -> memoryview:
    """The arguments of a call that were too large for its message."""
    assert call.argument is not None
    return core.objects.looking.view(one_more(call.argument), call.data)


def fill(
    core: CoreClient, call: Call, args: Any, kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Puts values where arguments were refs."""
    filled = list(args)
    for place, outcome, payload, ref in call.top:
        stored = outcome == STORED
        value = core.objects.value(one_more(ref), payload) if stored else read(payload)
        if type(place) is int:
            filled[place] = value
        else:
            kwargs[place] = value
    return filled, kwargs


def keep_several(core: CoreClient, call: Call, result: Any, count: int) -> tuple[int, Any]:
    """Packs the values of a call with several refs, or none; outcome and payload.

    Raises:
        ValueError, TypeError: the function returned another number of values.
    """
    if not count:
        return INLINE, b""
    name, error = call.template.name, None
    if type(result) is GeneratorType:
        values, error = split_items(result, count, name)
        if error is not None and call.template.retries:
            raise error
    else:
        values = result if count < 0 else split_returns(result, count, name)
    packed = []
    for at, value in enumerate(values):
        refs: Sequence[ObjectRef]
        if call.wanted is not None and at not in call.wanted:
            outcome, payload, refs = INLINE, b"", ()
        elif count < 0:  # of a generator, which has packed it
            outcome, payload, refs = value
        else:
            data, buffers, refs = pack(value, f"result {at} of {name}", "result")
            key = call.key + at
            outcome, payload = core.objects.keep(call.link.address, key, data, buffers)
        start = len(call.inner)
        call.inner = (*call.inner, *refs)
        packed.append((outcome, payload, (start, len(call.inner))))
    if error is not None:
        failure = pack_failure(error, function=name, pid=os.getpid(), node=core.node_hex)
        packed += [(FAILED, failure, (0, 0))] * (count - len(values))
    return SEVERAL, packed


class Reply:
    """Finishes a call that dealt with refs, under the baton, once its own refs are gone."""

    __slots__ = ("_call", "_core", "_message")

    def __init__(
        self, core: CoreClient, call: Call, outcome: int, payload: Any, stamps: Any
    ) -> None:
        self._core = core
        self._call = call
        self._message = (outcome, payload, stamps)

    def __call__(self) -> None:
        core = self._core
        call = self._call
        outcome, payload, stamps = self._message
        link = call.link
        core.objects.count_changes()
        call.top = ()
        call.argument = None
        kept = []
        for ref in call.nested:
            entry = ref._entry
            if entry.refs > 1 and entry.owner != core.address:
                entry.handed += 1
                kept.append((entry.owner, entry.key))
        inner: Any = None
        if call.inner:
            inner = core.objects.hand_over(call.inner, link.address)
            if outcome == SEVERAL:
                payload = [(each, value, inner[a:b]) for each, value, (a, b) in payload]
                inner = None
        elif outcome == SEVERAL:
            payload = [(each, value, None) for each, value, _ in payload]
        link.post((RESULT, call.key, outcome, payload, stamps, inner, kept))
        call.nested = call.inner = ()
