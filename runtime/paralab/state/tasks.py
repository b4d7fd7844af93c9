"""The caller's task table: which task waits for what, and which worker gets it next.

A task goes through these states, and only in this order but for the two ways back::

    submitted ──inputs──▶ ready ──place──▶ in flight ──reply──▶ settled
                            ▲                  │
                            └── taken back, ───┘
                                worker died

*Ready* tasks queue in their scheduling class (same resources, same depth).  A class has leases
on workers; as long as it has work it keeps them, so most tasks never meet the node.

How many tasks a worker gets at once is decided by measurement.  Behind a task whose function
has no measured time, or takes over a millisecond, nothing is queued: it would wait although
another worker may be free.  Short tasks are queued up to ``QUEUE_NS`` of expected work, and
never more than a fair share of what there is, so that a short queue spreads over all workers.

Rejected: a fixed number in flight (right for one duration only), and letting workers steal
(a message in each direction where a late measurement costs nothing).
"""

from __future__ import annotations

from collections import deque
from typing import Any

from paralab.ids import Address
from paralab.state.events import inputs_of
from paralab.state.ownership import Entry
from paralab.task_spec import TaskOptions

QUEUE_NS = 5_000_000
"""Expected run time that may be queued on one worker."""
SHORT_NS = 1_000_000
"""Only tasks known to be shorter than this are queued behind another."""
UNKNOWN_NS = -1
MAX_QUEUED = 1_000
STALLED_NS = 10_000_000
"""A worker with a queue that has answered nothing for so long gets its queue taken back."""

SLICE_NS = 20_000_000
"""For so long a revoked lease goes on getting work."""
NEVER = 1 << 63

ClassKey = tuple[tuple[tuple[str, int], ...], int, tuple[Any, ...] | None, str]


class Template:
    """What all calls of one function (or method) with the same options share."""

    __slots__ = (
        "cls", "data", "depth", "environment", "function_id", "mailbox", "mean_ns", "method",
        "name", "num_returns", "number", "options", "recorded", "refs", "sent_to", "spec", "what",
    )  # fmt: skip

    def __init__(
        self, number: int, what: int, spec: Any, options: TaskOptions, name: str, mailbox: Any
    ) -> None:
        self.number = number
        self.what = what
        self.spec = spec
        self.options = options
        self.name = name
        self.num_returns = options.num_returns
        self.recorded = options.recorded
        self.mailbox = mailbox
        self.function_id: bytes = b""
        self.data: Any = b""
        """What DEFINE says about it; see ``process.received.WorkerTemplate``."""
        self.refs: list[Any] = []
        self.method = ""
        self.environment = ""
        self.depth = 0
        self.cls: SchedulingClass | None = None
        self.mean_ns = UNKNOWN_NS
        self.sent_to: set[Address] = set()

    def __del__(self) -> None:
        if self.sent_to:
            self.mailbox.forgotten((self.number, self.sent_to))

    def measured(self, loaded: int, ended: int) -> None:
        """Takes one measured run time into the mean (weight 1/8; a slow one counts at once)."""
        mean, duration_ns = self.mean_ns, ended - loaded
        if mean < 0 or duration_ns > 8 * mean:
            self.mean_ns = duration_ns
        else:
            self.mean_ns = mean + ((duration_ns - mean) >> 3)


class Task:
    """One call: until it is answered, and then its record.

    What most tasks never need stands in the class, so that making one stays cheap.  All times
    are in ns on the machine's monotonic clock.
    """

    leased = 0
    sent = 0
    attempt = 0
    killed = 0
    """Attempts that ended because memory ran short."""
    missing = 0
    """Inputs that are not there yet."""
    worker: LeasedWorker | None = None
    actor: Any = None
    """What ``state.actors`` knows of the actor, None for a task."""
    argument: Any = None
    """The ref of the object that large arguments were put into."""
    handle: Any = None
    """The ref of the actor, so that it lives until the call is answered."""
    stream: Any = None
    """The items of a generator (``state.streams``)."""
    plain = True
    """Whether nothing but the packed arguments has to be sent."""
    cancelled = False
    """It is not tried again: somebody has cancelled it, or it has failed already."""
    wanted: tuple[int, ...] | None = None
    """Of a task that runs again because results of it were lost: which."""

    def __init__(
        self,
        key: int,
        template: Template,
        entries: list[Entry],
        data: Any,
        top: Any,
        nested: Any,
        parent: int,
        submitted: int,
        pickled: int,
        packed: int,
    ) -> None:
        self.key = key
        self.template = template
        self.entries = entries
        self.data = data
        self.top = top
        self.nested = nested
        self.parent = parent
        self.submitted = submitted
        self.pickled = pickled
        self.packed = self.ready = packed
        if top or nested:
            self.plain = False

    def record(self) -> tuple[Any, ...]:
        """What the event ring keeps of the caller's side, in the order of ``TaskRecord``."""
        data = self.data
        return (
            self.key,
            self.template.name,
            self.parent,
            self.attempt,
            len(data) if type(data) is bytes else data[1],
            self.submitted,
            self.packed,
            self.ready,
            self.leased,
            self.sent,
            0 if self.actor is None else self.actor.ref[1],
            inputs_of(self.top, self.nested) if self.top or self.nested else (),
            self.pickled,
        )


class LeasedWorker:
    """A worker that this process may push tasks to."""

    __slots__ = (
        "address",
        "alone",
        "answered",
        "cls",
        "inflight",
        "leased",
        "peer",
        "revoked",
        "taking",
        "until",
    )

    def __init__(self, address: Address, peer: Any, cls: SchedulingClass, now: int) -> None:
        self.address = address
        self.peer = peer
        self.cls = cls
        self.inflight: dict[int, Task] = {}
        self.alone = False
        """What it runs is long, or of unknown length: nothing is queued behind it."""
        self.answered = now
        """When it last answered, or was last given work while idle."""
        self.leased = now
        self.revoked = False
        """Somebody else waits for it: it is returned as soon as it is idle."""
        self.until = NEVER
        """From then on it gets no new work.  In ns."""
        self.taking = False
        """Its queue has been asked back; nothing new goes there until it has answered."""


class SchedulingClass:
    """Tasks that any of the same workers may run: same resources, depth and place."""

    __slots__ = (
        "depth",
        "environment",
        "key",
        "number",
        "queue",
        "requested",
        "resources",
        "unmet",
        "where",
        "workers",
    )

    def __init__(self, number: int, key: ClassKey, depth: int) -> None:
        self.number = number
        self.key = key
        self.resources = dict(key[0])
        self.where, self.environment = key[2], key[3]
        self.depth = depth
        self.queue: deque[Task] = deque()
        self.workers: dict[Address, LeasedWorker] = {}
        self.requested = 0
        """Leases asked of the node and not granted yet."""
        self.unmet = False

    def assign(self, now: int) -> list[tuple[LeasedWorker, list[Task]]]:
        """Moves ready tasks to workers with room; the caller sends them."""
        queue, workers = self.queue, self.workers
        assigned: list[tuple[LeasedWorker, list[Task]]] = []
        share = 1
        if len(queue) > 1 and workers:
            waiting = len(queue) + sum(len(worker.inflight) for worker in workers.values())
            share = -(-waiting // (len(workers) + self.requested))
        for worker in workers.values():
            if not queue:
                break
            if worker.taking or worker.until <= now:
                continue
            held = len(worker.inflight)
            mean = queue[0].template.mean_ns
            if held and (worker.alone or not 0 <= mean < SHORT_NS):
                continue
            room = 1
            if share > 1 and 0 <= mean < SHORT_NS:
                room = min(share, MAX_QUEUED, QUEUE_NS // (mean + 1_000))
            if room > held:
                if not held:
                    worker.answered = now
                tasks = self._take(room - held, worker)
                if tasks:
                    assigned.append((worker, tasks))
        return assigned

    def _take(self, room: int, worker: LeasedWorker) -> list[Task]:
        """Moves at most ``room`` tasks from the queue to ``worker``, long ones only alone."""
        queue, inflight = self.queue, worker.inflight
        tasks: list[Task] = []
        expected = 0
        while room > 0 and queue:
            task = queue[0]
            if task.cancelled:
                queue.popleft()
                continue
            mean = task.template.mean_ns
            is_short = 0 <= mean < SHORT_NS
            expected += mean
            if inflight:
                if not is_short or expected > QUEUE_NS:
                    break
            else:
                worker.alone = not is_short
            queue.popleft()
            task.worker = worker
            inflight[task.key] = task
            tasks.append(task)
            if not is_short:
                break
            room -= 1
        return tasks

    def take_back(self, keys: list[int], worker: LeasedWorker) -> None:
        """Puts tasks that ``worker`` did not start to the front of the queue, order kept."""
        for key in reversed(keys):
            task = worker.inflight.pop(key, None)
            if task is not None:
                task.worker = None
                self.queue.appendleft(task)

    def stalled(self, now: int) -> list[LeasedWorker]:
        """Workers that sit on a queue behind a task which takes longer than was expected."""
        return [
            worker
            for worker in self.workers.values()
            if len(worker.inflight) > 1 and not worker.taking and now - worker.answered > STALLED_NS
        ]

    def unused(self) -> list[LeasedWorker]:
        """Workers that somebody else waits for and that have got no work, the queue being empty."""
        return [
            worker
            for worker in self.workers.values()
            if worker.revoked and not worker.inflight and not worker.taking
        ]

    def idle(self, now: int, after_ns: int) -> list[LeasedWorker]:
        """Workers without work for ``after_ns``, and revoked ones without work."""
        return [
            worker
            for worker in self.workers.values()
            if not worker.inflight
            and not worker.taking
            and (worker.revoked or (not self.queue and now - worker.answered >= after_ns))
        ]


class SpreadClass(SchedulingClass):
    """Tasks for which nodes take turns: where there are several, a lease is for one task."""

    __slots__ = ("table",)

    def __init__(self, number: int, key: ClassKey, depth: int, table: TaskTable) -> None:
        super().__init__(number, key, depth)
        self.table = table

    def _take(self, room: int, worker: LeasedWorker) -> list[Task]:
        if self.table.nodes < 2:
            return super()._take(room, worker)
        worker.revoked, worker.until = True, 0
        return super()._take(1, worker)


class TaskTable:
    """All tasks of one caller that have not been answered."""

    def __init__(self) -> None:
        self.classes: dict[ClassKey, SchedulingClass] = {}
        self.by_number: dict[int, SchedulingClass] = {}
        self.pending: dict[int, Task] = {}
        """By the task's key: added when drained from the mailbox, removed when settled."""
        self.leases: dict[Address, LeasedWorker] = {}
        self.nodes = 1
        """How many there are."""

    def scheduling_class(
        self, options: TaskOptions, depth: int, environment: str = ""
    ) -> SchedulingClass:
        """The class of tasks with these options and environment at this depth of nesting."""
        where = tuple(options.where) if options.where else None
        key = (tuple(sorted(options.resources.items())), depth, where, environment)
        cls = self.classes.get(key)
        if cls is None:
            number = len(self.classes) + 1
            if options.where is not None and options.where.spreads:
                cls = SpreadClass(number, key, depth, self)
            else:
                cls = SchedulingClass(number, key, depth)
            self.classes[key] = self.by_number[number] = cls
        return cls

    def enter(self, task: Task, missing: list[Entry]) -> None:
        """Takes a submitted task in; it waits for the ``missing`` inputs."""
        self.pending[task.key] = task
        task.missing = len(missing)
        for entry in missing:
            if entry.waiting is None:
                entry.waiting = []
            entry.waiting.append(task)

    def input_settled(self, task: Task) -> bool:
        """One input less to wait for; True when that was the last."""
        task.missing -= 1
        return task.missing == 0

    def lease(self, number: int, address: Address, peer: Any, now: int) -> LeasedWorker | None:
        """A worker was granted to class ``number``; None when nobody needs it any more.

        Nor can it be used where ``peer``, the link to it, is None: it has died meanwhile.
        """
        cls = self.by_number[number]
        cls.requested = max(0, cls.requested - 1)
        if not cls.queue or peer is None:
            return None
        worker = LeasedWorker(address, peer, cls, now)
        cls.workers[address] = worker
        self.leases[address] = worker
        return worker

    def end_lease(self, address: Address) -> LeasedWorker | None:
        """The worker is no longer ours; its tasks in flight stay with it for the caller to see."""
        worker = self.leases.pop(address, None)
        if worker is not None:
            worker.cls.workers.pop(address, None)
        return worker

    def cancel(self, task: Task) -> Any:
        """No attempt of ``task`` begins any more.

        Returns:
            the peer of the worker that has it, which is to be told; None if none has.
        """
        task.cancelled = True
        if task.worker is not None:
            return task.worker.peer
        if task.actor is not None:  # its queue leaves out what is cancelled
            return task.actor.peer if task.key in task.actor.inflight else None
        for cls in self.by_number.values():
            try:
                cls.queue.remove(task)
            except ValueError:
                continue
        return None

    def answered(self, key: int) -> Task | None:
        """The task is answered: takes it out, None if it was answered before."""
        task = self.pending.pop(key, None)
        if task is not None:
            worker = task.worker
            if worker is not None:
                worker.inflight.pop(key, None)
        return task


def next_attempt(task: Task, begun: bool) -> bool:
    """Whether a task whose worker died runs again.

    A task that had not begun moves without spending a retry.
    """
    if task.cancelled:
        return False
    if not begun:
        return True
    limit = task.template.options.max_retries
    if limit >= 0 and task.attempt >= limit:
        return False
    task.attempt += 1
    return True
