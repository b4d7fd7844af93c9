"""Waiting for objects: ``get`` and ``wait`` of one client.

A waiting thread leads the engine, or follows the one that does; see ``process.baton``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from paralab.exceptions import GetTimeoutError
from paralab.messages import FAILED
from paralab.object_ref import ObjectRef
from paralab.remote_errors import unpack_failure
from paralab.state.ownership import Entry

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class Waits:
    """The waiting part of one client.  Any thread."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self.before: Callable[[], None] | None = None
        """What a worker does before a task of its own waits."""
        self.after: Callable[[], None] | None = None

    def for_all(self, entries: Sequence[Entry], timeout: float | None) -> None:
        """Returns when all are settled.

        Raises:
            GetTimeoutError: they were not within ``timeout`` seconds.
            ParalabError: the error that the first failed one stands for, at once.
        """
        core = self._core
        at = 0
        count = len(entries)
        failures = -1
        failed = False

        def done() -> bool:
            nonlocal at, failures, failed
            while at < count and entries[at].payload is not None:
                at += 1
            if at == count:
                return True
            if failures != core.failures:
                failures = core.failures
                failed = core.broken is not None or any(
                    entry.outcome == FAILED and entry.payload is not None for entry in entries
                )
            return failed

        finished = self._wait(done, entries, timeout, "get")
        if core.broken is not None and at < count:
            raise core.broken
        if not finished:
            missing = sum(entry.payload is None for entry in entries)
            raise GetTimeoutError(
                f"Get timed out: some object(s) not ready. {missing} of {count} were not there "
                f"after {timeout} s."
            )
        for entry in entries:
            if entry.outcome == FAILED and entry.payload is not None:
                for each in entries:
                    each.seen = True
                raise unpack_failure(entry.payload)

    def _wait(
        self, done: Callable[[], bool], entries: Sequence[Entry], timeout: float | None, call: str
    ) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        core = self._core
        for entry in entries:
            if entry.payload is None and not entry.pending and entry.owner != core.address:
                core.mailbox.requests.append(partial(core.objects.fetch, entry))
        start = time.monotonic_ns()
        if self.before is not None:
            self.before()
        try:
            return core.baton.wait(done, deadline)
        finally:
            if core.events.on and entries:
                first = entries[0]
                facts = (core.parent_key, len(entries), first.owner, first.key, call)
                core.events.note_wait(start, time.monotonic_ns(), *facts)
            if self.after is not None:
                self.after()

    def until(self, done: Callable[[], object], timeout: float | None = None) -> bool:
        """Returns when ``done()`` is true, or False after ``timeout`` seconds.

        Raises:
            LocalNodeDied: there is nobody left who could make it true.
        """
        core = self._core
        finished = self._wait(lambda: bool(done() or core.broken), (), timeout, "")
        if core.broken is not None:
            raise core.broken
        return finished

    def wait(
        self, refs: Sequence[ObjectRef], num_returns: int, timeout: float | None
    ) -> tuple[list[ObjectRef], list[ObjectRef]]:
        """Splits ``refs``, order kept, into at most ``num_returns`` settled ones and the rest."""
        ready, rest = self._wait_for(refs, num_returns, timeout)
        if self._core.failures:
            for ref in ready:
                if ref._entry.outcome == FAILED:
                    ref._entry.seen = True
        return ready, rest

    def _wait_for(
        self, refs: Sequence[ObjectRef], num_returns: int, timeout: float | None
    ) -> tuple[list[ObjectRef], list[ObjectRef]]:
        core = self._core
        if num_returns == len(refs) and not [ref for ref in refs if ref._entry.payload is None]:
            return list(refs), []
        ready, rest = _split(refs, num_returns)
        if len(ready) < num_returns:
            entries = [ref._entry for ref in rest]
            lacking = num_returns - len(ready)
            pending = entries

            def done() -> bool:
                nonlocal pending
                pending = [entry for entry in pending if entry.payload is None]
                return len(entries) - len(pending) >= lacking or core.broken is not None

            self._wait(done, entries, timeout, "wait")
            if core.broken is not None:
                raise core.broken
            ready, rest = _split(refs, num_returns)
        return ready, rest


def _split(refs: Sequence[ObjectRef], num_returns: int) -> tuple[list[ObjectRef], list[ObjectRef]]:
    ready: list[ObjectRef] = []
    rest: list[ObjectRef] = []
    for at, ref in enumerate(refs):
        if ref._entry.payload is not None:
            ready.append(ref)
            if len(ready) == num_returns:
                rest += refs[at + 1 :]
                break
        else:
            rest.append(ref)
    return ready, rest
