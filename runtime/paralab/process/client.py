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

from paralab import engine as seam
from paralab.exceptions import LocalNodeDied
from paralab.ids import INDEX_BITS, Address, job_of
from paralab.messages import (
    ACTOR_AT,
    ACTOR_DEAD,
    ACTOR_RESTARTS,
    ANSWER,
    ASK,
    CANCEL_REF,
    DIED,
    KEY_VALUES,
    KILL_ACTOR,
    PEER,
    PRINTED,
    RESTART,
    RESULT,
    TELL,
    UNMET,
    WELCOME,
)
from paralab.object_ref import ObjectRef
from paralab.process.actor_calls import ActorCalls
from paralab.process.baton import Baton, Mailbox
from paralab.process.calls import Calls
from paralab.process.cancelling import Cancelling
from paralab.process.groups import Groups
from paralab.process.leasing import Leasing
from paralab.process.links import Link, links_over
from paralab.process.low_memory import LowMemory
from paralab.process.notices import Notices
from paralab.process.objects import Objects
from paralab.process.pulse import PulseBoard
from paralab.process.questions import Questions
from paralab.process.rebuilding import Rebuilding
from paralab.process.streams import Streams
from paralab.process.survey import Surveys
from paralab.process.templates import Templates
from paralab.process.waits import Waits
from paralab.serialization import read
from paralab.state.events import EventRing
from paralab.state.ownership import Ownership
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
        self.environments: Any = None
        """Made with the first task or actor that has a ``runtime_env``."""
        self._early: list[tuple[Any, ...]] = []
        """What came behind the welcome, until there is somebody to handle it."""
        keep: Callable[..., None] = lambda *message: self._early.append(message)  # noqa: E731
        self.handlers = dict.fromkeys(range(256), keep) | {WELCOME: self._on_welcome}
        self.links = links_over(node_socket)(node_socket, self.handlers, self._closed)
        self.node = self.links.node
        self.mailbox = Mailbox(self.links.ring)
        self._on_print = on_print
        while not self.welcome and self.broken is None:
            self.links.listen(None)
        broken: Any = self.broken
        if broken is not None:
            self.links.close()
            raise broken
        self.links.welcomed(self.welcome)
        self.address: Address = self.welcome["address"]
        self.node_hex: str = self.welcome["node_id"].hex()
        self.total: dict[str, int]  # what the nodes have together
        self.total, nodes = self.welcome["resources"]
        self.ownership = Ownership(self.address, self.mailbox)
        self.objects = Objects(self)
        self.calls = Calls(self)
        self.calls.table.nodes = nodes
        self.streams = Streams(self)
        self.low_memory = LowMemory(self)
        self.leasing = Leasing(self)
        self.templates = Templates(self)
        self.actor_calls = ActorCalls(self)
        self.rebuilding = Rebuilding(self)
        self.surveys = Surveys(self)
        self.survey = self.surveys.ask
        self.cancelling = Cancelling(self)
        self.cancel = self.cancelling.cancel
        self.cancel_since = self.cancelling.cancel_since
        self.groups = Groups(self)
        self.notices = Notices(self)
        self.on_settled = self.notices.add
        self.events = EventRing(0) if os.environ.get("PARALAB_EVENTS") == "0" else EventRing()
        self.next_key = itertools.count(1 << INDEX_BITS, 1 << INDEX_BITS).__next__
        self.questions = Questions(self)
        self.ask = self.questions.ask
        self.key_values = partial(self.ask, KEY_VALUES)
        self.do = self.questions.do
        self._checked = 0
        """When leases were looked at last, in ns."""
        self.baton = Baton(self, self.mailbox, name)
        self.waits = Waits(self)
        self._install(handlers or {})

    def _install(self, handlers: dict[int, Callable[..., None]]) -> None:
        calls, objects = self.calls, self.objects
        self.handlers.clear()
        self.handlers.update(
            {
                RESULT: calls.on_result,
                **self.leasing.handlers,
                **self.low_memory.handlers,
                ACTOR_AT: self.actor_calls.on_actor_at,
                ACTOR_DEAD: self.actor_calls.on_actor_dead,
                ACTOR_RESTARTS: self.actor_calls.on_actor_restarts,
                **objects.handlers,
                ANSWER: self.questions.on_answer,
                PEER: self._on_peer,
                DIED: self._on_died,
                PRINTED: self._on_printed,
                UNMET: self._on_unmet,
                TELL: self.surveys.on_tell,
                CANCEL_REF: self.cancelling.on_cancel_ref,
                **self.groups.handlers,
                **self.rebuilding.handlers,
                **self.streams.handlers,
                **handlers,
            }
        )

    def start(self) -> None:
        """Starts the I/O thread."""
        for link, kind, *rest in self._early:
            self.handlers[kind](link, kind, *rest)
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
            self.templates.forget()
        if calls.ready or calls.sendable:
            calls.dispatch()
        if self.links.dirty:
            self.links.flush()
        self.links.rung = False

    def listen(self, timeout: float | None, eager: bool = False) -> Any:
        """Waits for sockets, timers or the bell, and handles what comes."""
        calls, links, mailbox = self.calls, self.links, self.mailbox
        if timeout != 0.0:
            check = self.leasing.next_check() if calls.table.leases or self.leasing.paused else None
            if check is not None and (timeout is None or check < timeout):
                timeout = check
            mailbox.asleep = True
            if mailbox.submissions or mailbox.changes or mailbox.requests or mailbox.forgets:
                mailbox.asleep = False
                return True
            eager = eager and timeout is None and not (calls.ready or self.questions.open)
            links.listen(timeout, eager)
            mailbox.asleep = False
            if len(self.events.records) > self.events.limit:
                self.events.trim()
            # Since the last check, not since this wait began: traffic must not put it off.
            if check is not None and links.now - self._checked >= check * 1e9:
                self._checked = links.now
                self.leasing.check()
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
        self.links.drop(link)
        if link is self.node:
            self.broken = self.broken or LocalNodeDied("The node process has ended.")
            self.failures += 1
            if self.welcome:  # else there is nothing yet that could wait
                self.notices.end()

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
        template = options.cache
        if (
            template is None
            or template.spec is not function
            or template.mailbox is not self.mailbox
        ):
            template = self.templates.of_function(function, options)
        return calls.submit(template, None, args, kwargs)

    def create_actor(
        self,
        spec: ActorSpec,
        options: ActorOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> ObjectRef:
        """See :class:`paralab.engine.Engine`."""
        return self.actor_calls.create(spec, options, args, kwargs)

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
        template = options.cache
        if template is None or template.method != method or template.mailbox is not self.mailbox:
            template = self.templates.of_method(method, options, options.name or method)
        return calls.submit(template, actor, args, kwargs)

    def pending_calls(self, actor: ObjectRef) -> int:
        """See :class:`paralab.engine.Engine`."""
        return self.actor_calls.pending(actor)

    def kill(self, actor: ObjectRef, no_restart: bool) -> None:
        """See :class:`paralab.engine.Engine`."""
        entry = actor._entry
        self.ask(KILL_ACTOR, (entry.owner, entry.key), no_restart)

    def find_actor(self, name: str, namespace: str | None) -> tuple[ObjectRef, Any] | None:
        """See :class:`paralab.engine.Engine`."""
        return self.actor_calls.find(name, namespace)

    def request(self, action: Callable[[], None]) -> None:
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
            self.waits.for_all((entry,), timeout)
        if not entry.fetched:
            entry.fetched = True
            self.events.fetched.append((entry.key, _now()))
        return self.objects.value(ref) if entry.outcome else read(entry.payload)

    def get(self, refs: Sequence[ObjectRef], timeout: float | None) -> list[Any]:
        """See :class:`paralab.engine.Engine`."""
        for ref in refs:
            if ref._entry.payload is None:
                self.waits.for_all([ref._entry for ref in refs], timeout)
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
                values.append(read(entry.payload))
            else:
                values.append(value(ref))
        return values

    def wait(
        self, refs: Sequence[ObjectRef], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[ObjectRef], list[ObjectRef]]:
        """See :class:`paralab.engine.Engine`."""
        return self.waits.wait(refs, num_returns, timeout)

    def restore_ref(self, owner: Address, key: int) -> ObjectRef:
        """See :class:`paralab.engine.Engine`."""
        return self.objects.restore(owner, key)

    def pin_forever(self, ref: ObjectRef) -> None:
        """See :class:`paralab.engine.Engine`."""
        ref._entry.pinned = ref

    # -- Engine: the rest --------------------------------------------------------------------

    def info(self, what: str) -> Any:
        """See :class:`paralab.engine.Engine`."""
        if what == "address":
            return self.welcome["info"]
        if what == "context":
            return self.context()
        if what == "available_resources":
            self.request(lambda: self.leasing.return_idle(0))
        return self.ask(ASK, what)

    def context(self) -> dict[str, Any]:
        """Facts about this process; a worker adds those of its task."""
        return {
            "node_id": self.node_hex,
            "job_id": job_of(self.address).hex(),
            "worker_id": self.address.hex() + "00" * 12,
            "task_id": None,
            "task_name": None,
            "actor_id": None,
            "assigned_resources": {},
            "accelerator_ids": {"GPU": []},
            "namespace": self.welcome["namespace"],
            "runtime_env": self.welcome["environment"][1],
        }

    def look_around(self, leading: bool = False) -> None:
        """Tells workers where the driver stands, if it has moved; nothing to do in a worker."""

    def tell_where(self, link: Link) -> None:
        """Tells a worker before its first call, if the driver has ever moved."""

    def restart_workers(self) -> None:
        """See :class:`paralab.engine.Engine`."""
        self.look_around()
        # The answer comes behind the revocation of every lease on an old worker.
        self.ask(RESTART)

    def shutdown(self, linger: float = 0.0) -> None:
        """Stops the I/O thread and closes the sockets; may be called twice."""
        self.baton.stop()
        self.notices.end()
        self.mailbox.disable()
        self.links.close()
        self.mapping.close()
        self.pulse.close()

    def disown(self) -> None:
        """In a child that the user forked: the session is the parent's, and stays so."""
        seam.forked()
        self.mailbox.disable()
        self.links.disown()
        self.broken = LocalNodeDied(
            f"This process was forked from process {os.getppid()}, and the session is that one's."
        )

    def slots(self, resources: dict[str, int]) -> int:
        """How many tasks with these needs the node could run at once."""
        if not resources:
            return FREE_SLOTS
        return min(self.total.get(name, 0) // amount for name, amount in resources.items())

    def post_node(self, message: tuple[Any, ...]) -> None:
        """Leaves a message for the node.  Any thread."""
        self.node.post(message)

    def begun_by(self, address: Address) -> int | None:
        """Key of the task of ours that a dead worker had begun, 0 if none, None if unknown."""
        return self.pulse.begun(address, self.address)

    # -- messages ----------------------------------------------------------------------------

    def _on_welcome(self, _link: Link, _kind: int, welcome: dict[str, Any]) -> None:
        arena, numbers = self.links.descriptor(), self.links.descriptor()
        self.mapping = Mapping(arena, welcome["capacity"], numbers)
        self.own_bytes = self.mapping.private
        self.pulse = PulseBoard(self.links.descriptor())
        self.welcome = welcome

    def _on_peer(self, _link: Link, _kind: int, address: Address) -> None:
        descriptor = self.links.descriptor()
        if address in self.dead:
            os.close(descriptor)
        else:
            self.links.connect(address, descriptor, address == self.address)

    def _on_died(self, _link: Link, _kind: int, address: Address, how: str) -> None:
        link = self.links.peer(address)
        if link is not None:
            self.links.drain(link)
            self.links.drop(link)
        self.dead.setdefault(address, how)
        self.calls.process_died(address, how)
        self.objects.process_died(address)

    def _on_printed(self, _link: Link, _kind: int, *printed: Any) -> None:
        self._on_print(*printed)

    def _on_unmet(self, _link: Link, _kind: int, number: int, text: str) -> None:
        self._on_print("", 0, "stderr", text + "\n")
