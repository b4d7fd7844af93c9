"""The engine on several processes: one in the driver, one in every worker.

``CoreClient`` holds the parts together and carries out the ``Engine`` protocol: ``Calls`` for
tasks and actors, ``Objects`` for values and their holders, ``Links`` for sockets, ``Baton`` for
the question of which thread does all this.  Control state lives here, in the process that
creates the work; the node is asked for workers, memory and introductions only.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from paralab.exceptions import GetTimeoutError, LocalNodeDied
from paralab.ids import FIRST_RETURN, INDEX_BITS, Address
from paralab.messages import (
    ACTOR_AT,
    ACTOR_DEAD,
    ANSWER,
    ASK,
    CREATE_ACTOR,
    DIED,
    FAILED,
    FETCH,
    HOLD,
    KILL_ACTOR,
    LEASED,
    OBJECT,
    OWNER_DIED,
    PEER,
    PRINTED,
    REFUSED,
    RELEASE,
    RESTART,
    RESULT,
    RETURNED,
    REVOKE,
    UNMET,
    WELCOME,
)
from paralab.object_ref import ObjectRef
from paralab.process.baton import Baton, Mailbox
from paralab.process.calls import Calls
from paralab.process.links import Link, Links
from paralab.process.objects import ACTOR, Objects
from paralab.process.pulse import PulseBoard
from paralab.remote_errors import unpack_failure
from paralab.serialization import load, pack_args
from paralab.state.events import EventRing
from paralab.state.ownership import Entry, Ownership
from paralab.state.tasks import Task
from paralab.state.trace import chrome_trace
from paralab.store.mapping import Mapping
from paralab.task_spec import ActorOptions, ActorSpec, FunctionSpec, TaskOptions

_now = time.monotonic_ns
FREE_SLOTS = 64
"""Workers asked for at once by tasks that need no resource."""


class CoreClient:
    """The engine of one process of a session.

    Args:
        node_socket: the connected socket to the node.
        on_print: is given what a task printed: name, pid, "stdout" or "stderr", text.
        handlers: further message handlers, by kind.
    """

    def __init__(
        self,
        node_socket: socket.socket,
        name: str,
        on_print: Callable[[str, int, str, str], None],
        handlers: dict[int, Callable[..., None]] | None = None,
    ) -> None:
        self.welcome: dict[str, Any] = {}
        self.broken: BaseException | None = None
        self.failures = 0
        """Objects settled as errors; tells a waiting ``get`` to look for one."""
        self.depth = 0
        """How many tasks, each started by the one before, this process's task stands below."""
        self.parent_key = 0
        self.dead: dict[Address, str] = {}
        self.handlers: dict[int, Callable[..., None]] = {WELCOME: self._on_welcome}
        self.links = Links(node_socket, self.handlers, self._closed)
        self.node = self.links.node
        self.mailbox = Mailbox(self.links.ring)
        self._on_print = on_print
        while not self.welcome and self.broken is None:
            self.links.listen(None)
        if self.broken is not None:
            raise self.broken
        self.address: Address = self.welcome["address"]
        self.node_hex: str = self.welcome["node_id"].hex()
        self._total: dict[str, int] = self.welcome["resources"]
        self.ownership = Ownership(self.address, self.mailbox)
        self.objects = Objects(self)
        self.calls = Calls(self)
        self.events = EventRing()
        self.record = self.events.append
        if os.environ.get("PARALAB_EVENTS") == "0":
            self.record = _ignore
        self.next_key = itertools.count(1 << INDEX_BITS, 1 << INDEX_BITS).__next__
        self._questions = itertools.count(1)
        self._answers: dict[int, list[Any]] = {}
        self.baton = Baton(self, self.mailbox, name)
        self._warn: Callable[[str], None] = _ignore
        self.before_wait: Callable[[], None] | None = None
        self.after_wait: Callable[[], None] | None = None
        self._install(handlers or {})

    def _install(self, handlers: dict[int, Callable[..., None]]) -> None:
        calls, objects = self.calls, self.objects
        self.handlers.update(
            {
                RESULT: calls.on_result,
                RETURNED: calls.on_returned,
                LEASED: calls.on_leased,
                REFUSED: calls.on_refused,
                REVOKE: calls.on_revoke,
                ACTOR_AT: calls.on_actor_at,
                ACTOR_DEAD: calls.on_actor_dead,
                FETCH: objects.on_fetch,
                OBJECT: objects.on_object,
                HOLD: objects.on_hold,
                RELEASE: objects.on_release,
                OWNER_DIED: objects.on_owner_died,
                ANSWER: self._on_answer,
                PEER: self._on_peer,
                DIED: self._on_died,
                PRINTED: self._on_printed,
                UNMET: self._on_unmet,
                **handlers,
            }
        )

    def start(self) -> None:
        """Starts the I/O thread."""
        self.baton.start()

    # -- the engine's work, under the baton --------------------------------------------------

    def turn(self) -> None:
        """Empties the mailbox, decides and sends."""
        mailbox = self.mailbox
        calls = self.calls
        submissions = mailbox.submissions
        while submissions:
            calls.enter(submissions.popleft())
        if mailbox.changes:
            self.objects.count_changes()
        while mailbox.requests:
            mailbox.requests.popleft()()
        if mailbox.forgets:
            calls.forget_templates()
        if calls.ready or calls.sendable:
            calls.dispatch()
        if self.links.dirty:
            self.links.flush()
        self.links.rung = False

    def listen(self, timeout: float | None) -> Any:
        """Waits for sockets, timers or the bell, and handles what comes."""
        calls, links, mailbox = self.calls, self.links, self.mailbox
        if timeout != 0.0:
            check = calls.next_check() if calls.table.leases else None
            if check is not None and (timeout is None or check < timeout):
                timeout = check
            mailbox.asleep = True
            if mailbox.submissions or mailbox.changes or mailbox.requests or mailbox.forgets:
                mailbox.asleep = False
                return True
            before = links.now
            links.listen(timeout)
            mailbox.asleep = False
            if check is not None and links.now - before >= check * 1e9:
                calls.check()
        else:
            links.listen(0.0)
        return (
            calls.ready
            or calls.sendable
            or links.dirty
            or mailbox.submissions
            or mailbox.requests
            or links.rung
        )

    def _closed(self, link: Link) -> None:
        if link is self.node:
            self.broken = LocalNodeDied("The node process has ended.")
            self.links.drop(link)
            self.failures += 1
        else:
            self.links.drop(link)

    # -- Engine: tasks and actors ------------------------------------------------------------

    def submit(
        self,
        function: FunctionSpec,
        options: TaskOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> list[ObjectRef]:
        """See :class:`paralab.engine.Engine`."""
        calls = self.calls
        return calls.submit(calls.function_template(function, options), None, args, kwargs)

    def create_actor(
        self,
        spec: ActorSpec,
        options: ActorOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> ObjectRef:
        """See :class:`paralab.engine.Engine`."""
        calls = self.calls
        template = calls.class_template(spec, options)
        submitted = _now()
        data, buffers, nested, top = pack_args(args, kwargs, f"{spec.name}.__init__")
        argument, payload = None, data
        if buffers or len(data) >= 100_000:
            argument, payload = calls._keep_arguments(data, buffers)
        key = self.next_key()
        entry = self.ownership.own(key)
        entry.outcome = ACTOR
        entry.payload = b""
        task = Task(
            key + FIRST_RETURN,
            template,
            [],
            payload,
            top,
            nested,
            self.parent_key,
            submitted,
            _now(),
        )
        task.argument = argument
        message = (
            CREATE_ACTOR,
            key,
            spec.name,
            dict(options.creation_resources),
            dict(options.resources),
            self.depth + 1,
        )
        ref = ObjectRef(entry)
        calls.create_actor(task, ref, message)
        return ref

    def call_actor(
        self,
        actor: ObjectRef,
        method: str,
        options: TaskOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> list[ObjectRef]:
        """See :class:`paralab.engine.Engine`."""
        calls = self.calls
        template = calls.method_template(method, options, options.name or method)
        return calls.submit(template, actor, args, kwargs)

    def kill(self, actor: ObjectRef, no_restart: bool) -> None:
        """See :class:`paralab.engine.Engine`."""
        entry = actor._entry
        self.ask(KILL_ACTOR, (entry.owner, entry.key))

    def cancel(self, ref: ObjectRef, force: bool, recursive: bool) -> None:
        """See :class:`paralab.engine.Engine`."""
        raise NotImplementedError("paralab.cancel is not there yet.")

    def _request(self, action: Callable[[], None]) -> None:
        """Leaves something to be done under the baton, after what was submitted before it."""
        self.mailbox.requests.append(action)
        if self.mailbox.asleep:
            self.mailbox.wake()

    # -- Engine: objects ---------------------------------------------------------------------

    def put(self, value: Any) -> ObjectRef:
        """See :class:`paralab.engine.Engine`."""
        return self.objects.put(value)

    def get_one(self, ref: ObjectRef, timeout: float | None) -> Any:
        """``get`` of a single ref, without the lists."""
        entry = ref._entry
        if entry.payload is None:
            self._await_all((entry,), timeout)
        if not entry.fetched:
            entry.fetched = True
            self.events.fetched.append((entry.key, _now()))
        return self.objects.value(ref) if entry.outcome else load(entry.payload)

    def get(self, refs: Sequence[ObjectRef], timeout: float | None) -> list[Any]:
        """See :class:`paralab.engine.Engine`."""
        for ref in refs:
            if ref._entry.payload is None:
                self._await_all([ref._entry for ref in refs], timeout)
                break
        value = self.objects.value
        fetched = self.events.fetched.append
        values = []
        for ref in refs:
            entry = ref._entry
            if not entry.fetched:
                entry.fetched = True
                fetched((entry.key, _now()))
            if not entry.outcome:  # INLINE
                values.append(load(entry.payload))
            else:
                values.append(value(ref))
        return values

    def _await_all(self, entries: Sequence[Entry], timeout: float | None) -> None:
        at = 0
        count = len(entries)
        failures = -1

        def done() -> bool:
            nonlocal at, failures
            while at < count and entries[at].payload is not None:
                at += 1
            if at == count:
                return True
            if failures != self.failures:
                failures = self.failures
                return self.broken is not None or any(
                    entry.outcome == FAILED and entry.payload is not None for entry in entries[at:]
                )
            return False

        finished = self._wait(done, entries, timeout)
        if self.broken is not None and at < count:
            raise self.broken
        if not finished:
            missing = sum(entry.payload is None for entry in entries)
            raise GetTimeoutError(
                f"Get timed out: {missing} of {count} objects were not there after {timeout} s."
            )
        for entry in entries:
            if entry.outcome == FAILED and entry.payload is not None:
                raise unpack_failure(entry.payload)

    def _wait(
        self, done: Callable[[], bool], entries: Sequence[Entry], timeout: float | None
    ) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        address = self.address
        for entry in entries:
            if entry.payload is None and not entry.pending and entry.owner != address:
                self.mailbox.requests.append(partial(self.objects.fetch, entry))
        if self.before_wait is None:
            return self.baton.wait(done, deadline)
        self.before_wait()
        try:
            return self.baton.wait(done, deadline)
        finally:
            assert self.after_wait is not None
            self.after_wait()

    def wait(
        self, refs: Sequence[ObjectRef], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[ObjectRef], list[ObjectRef]]:
        """See :class:`paralab.engine.Engine`."""
        ready, rest = _split(refs, num_returns)
        if len(ready) < num_returns:
            entries = [ref._entry for ref in rest]
            lacking = num_returns - len(ready)
            pending = entries

            def done() -> bool:
                nonlocal pending
                pending = [entry for entry in pending if entry.payload is None]
                return len(entries) - len(pending) >= lacking or self.broken is not None

            self._wait(done, entries, timeout)
            if self.broken is not None:
                raise self.broken
            ready, rest = _split(refs, num_returns)
        return ready, rest

    def restore_ref(self, owner: Address, key: int) -> ObjectRef:
        """See :class:`paralab.engine.Engine`."""
        return self.objects.restore(owner, key)

    def pin_forever(self, ref: ObjectRef) -> None:
        """See :class:`paralab.engine.Engine`."""
        ref._entry.pinned = ref

    # -- Engine: the rest --------------------------------------------------------------------

    def info(self, what: str) -> Any:
        """See :class:`paralab.engine.Engine`."""
        if what == "timeline":
            return chrome_trace(self.events.snapshot(), dict(self.events.fetched), self.address)
        if what == "address":
            return self.welcome["info"]
        if what == "context":
            return self.context()
        if what == "available_resources":
            self._request(lambda: self.calls.return_idle(0))
        return self.ask(ASK, what)

    def context(self) -> dict[str, Any]:
        """Facts about this process; a worker adds those of its task."""
        return {
            "node_id": self.node_hex,
            "job_id": "01000000",
            "worker_id": self.address.hex() + "00" * 12,
            "task_id": None,
            "task_name": None,
            "actor_id": None,
            "assigned_resources": {},
            "accelerator_ids": {"GPU": []},
            "namespace": self.welcome["namespace"],
        }

    def restart_workers(self) -> None:
        """See :class:`paralab.engine.Engine`."""
        self._request(lambda: self.node.post((RESTART,)))

    def shutdown(self) -> None:
        """Stops the I/O thread and closes the sockets; may be called twice."""
        self.baton.stop()
        self.mailbox.disable()
        self.links.close()
        self.mapping.close()
        self.pulse.close()

    def slots(self, resources: dict[str, int]) -> int:
        """How many tasks with these needs the node could run at once."""
        if not resources:
            return FREE_SLOTS
        return min(self._total.get(name, 0) // amount for name, amount in resources.items())

    def ask(self, kind: int, *question: Any) -> Any:
        """Asks the node and waits for its answer.

        Raises:
            LocalNodeDied: there is no node any more.
        """
        number = next(self._questions)
        box = self._answers[number] = []
        self._request(lambda: self.node.post((kind, number, *question)))
        self.baton.wait(lambda: box or self.broken, None)
        self._answers.pop(number, None)
        if not box:
            raise self.broken or LocalNodeDied("The node did not answer.")
        return box[0]

    def post_node(self, message: tuple[Any, ...]) -> None:
        """Leaves a message for the node.  Any thread."""
        self.node.post(message)

    def begun_by(self, address: Address) -> int | None:
        """Key of the task of ours that a dead worker had begun, 0 if none, None if unknown."""
        return self.pulse.begun(address, self.address)

    # -- messages ----------------------------------------------------------------------------

    def _on_welcome(self, _link: Link, _kind: int, welcome: dict[str, Any]) -> None:
        self.mapping = Mapping(self.links.descriptor(), welcome["capacity"])
        self.pulse = PulseBoard(self.links.descriptor())
        self.welcome = welcome

    def _on_answer(self, _link: Link, _kind: int, number: int, answer: Any) -> None:
        box = self._answers.get(number)
        if box is not None:
            box.append(answer)

    def _on_peer(self, _link: Link, _kind: int, address: Address) -> None:
        descriptor = self.links.descriptor()
        if address in self.dead:
            os.close(descriptor)
        else:
            self.links.connect(address, descriptor)

    def _on_died(self, _link: Link, _kind: int, address: Address, how: str) -> None:
        link = self.links.peer(address)
        if link is not None:
            self.drain(link)
            self.links.drop(link)
        self.dead[address] = how
        self.calls.process_died(address, how)
        self.objects.process_died(address)

    def drain(self, link: Link) -> None:
        """Handles what a process sent before it died."""
        connection = link.connection
        while connection is not None and not connection.closed:
            messages = connection.receive()
            for message in messages:
                self.handlers[message[0]](link, *message)
            if not messages and not connection.stuck and not connection.readable():
                break

    def _on_printed(
        self, _link: Link, _kind: int, name: str, pid: int, stream: str, text: str
    ) -> None:
        self._on_print(name, pid, stream, text)

    def _on_unmet(self, _link: Link, _kind: int, number: int, text: str) -> None:
        self._on_print("", 0, "stderr", text + "\n")


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


def _ignore(_record: Any) -> None:
    pass
