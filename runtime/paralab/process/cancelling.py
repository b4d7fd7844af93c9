"""Cancelling, on the side of the process that owns the task.

    cancel(ref) ──▶ owner: is the task finished?            nothing happens
                           not sent yet?                    its refs fail now
                           with a worker?  ──CANCEL──▶      taken from its queue, or interrupted
                           force, and it is deaf? ──END_RUNNING──▶ node: kills it
    a borrower of the ref ──CANCEL_REF──▶ owner           the same; ANSWER says what is wrong

Only the owner knows whether a task is to be tried again, so only the owner cancels.  A cancelled
task has no further attempt, whatever happens to the worker.  ``process.interrupts`` is the
worker's side.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from paralab.exceptions import TaskCancelledError
from paralab.ids import FIRST_RETURN, INDEX_MASK, task_id
from paralab.messages import ACTOR, ANSWER, CANCEL, CANCEL_REF, END_RUNNING
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.state.tasks import Task

if TYPE_CHECKING:
    from paralab.process.client import CoreClient

DEAF_SECONDS = 0.5
"""How long a worker has to end itself before the node is asked to."""


class Cancelling:
    """The cancelling part of one client."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core

    def cancel(self, ref: ObjectRef, force: bool, recursive: bool) -> None:
        """Asks that the task behind ``ref`` does not run on.  Any thread.

        Raises:
            ValueError: ``force`` is given for a call of an actor.
        """
        core = self._core
        entry = ref._entry
        if entry.owner == core.address:
            refused = core.do(lambda: self._cancel(entry.key, force, recursive))
        else:
            refused = core.ask(CANCEL_REF, entry.key, force, recursive, of=entry.owner)
        if refused:
            raise ValueError(refused)

    def cancel_since(self, moment: int) -> int:
        """Cancels what this process has submitted since ``moment``, in ns; how many tasks."""
        found = self._core.do(lambda: self._cancel_since(moment))
        return int(found or 0)

    # -- under the baton ---------------------------------------------------------------------

    def _cancel(self, key: int, force: bool, recursive: bool) -> str | None:
        """Cancels the task that makes the object ``key`` of ours; returns what speaks against."""
        core = self._core
        task = core.calls.table.pending.get(key & ~INDEX_MASK | FIRST_RETURN)
        if task is None or task.template.what == ACTOR:
            return None  # finished, or no task's
        if force and task.actor is not None:
            return "force=True is not supported for actor tasks."
        peer = core.calls.table.cancel(task)
        if peer is not None:
            peer.post((CANCEL, task.key, force, recursive))
            if force:
                insist = lambda: core.request(lambda: self._insist(task))  # noqa: E731
                timer = threading.Timer(DEAF_SECONDS, insist)
                timer.daemon = True
                timer.start()
            return None
        cls = task.template.cls
        if task.actor is not None:
            core.calls.sendable.append(task.actor)
        elif cls is not None:
            core.calls.ready[cls] = None  # it may want fewer workers now
        self.end(task)
        return None

    def _cancel_since(self, moment: int) -> int:
        pending = self._core.calls.table.pending
        found = [
            task
            for task in pending.values()
            if task.submitted >= moment and not task.cancelled and task.template.what != ACTOR
        ]
        for task in found:
            self._cancel(task.key, False, True)
        return len(found)

    def _insist(self, task: Task) -> None:
        """The node ends a worker that has not heard: a C call that keeps the GIL, say."""
        core, worker = self._core, task.worker
        if worker is not None and task.key in core.calls.table.pending:
            core.node.post((END_RUNNING, worker.address, task.key))

    def end(self, task: Task) -> None:
        """The refs of a cancelled task stand for that from now on."""
        from paralab.id_types import TaskID  # rarely needed

        name = TaskID(task_id(self._core.address, task.key))
        self._core.calls.fail(task, self._core.objects.failure(TaskCancelledError(name)))

    def came_too_late(self, task: Task, outcome: int, payload: Any, inner: Any) -> None:
        """An actor has finished a call that was cancelled while it ran: its result is dropped."""
        self._core.calls.drop_results(task.key, outcome, payload, inner)
        self.end(task)

    def cancel_children(self, parent: int, force: bool) -> None:
        """Cancels what a task running here has submitted.

        Keys are numbers of each caller's own; the very int that came with the call is meant.
        """
        calls = self._core.calls
        submissions = self._core.mailbox.submissions
        while submissions:  # what it has submitted this moment is meant too
            calls.enter(submissions.popleft())
        for task in list(calls.table.pending.values()):
            if task.parent is parent and not task.cancelled:
                self._cancel(task.key, force and task.actor is None, True)

    def on_cancel_ref(
        self, link: Link, _kind: int, number: int, key: int, force: bool, recursive: bool
    ) -> None:
        """A borrower asks to cancel a task of ours."""
        link.post((ANSWER, number, self._cancel(key, force, recursive)))
