"""The engine that runs everything in the calling process, in order: ``init(local_mode=True)``.

A task runs inside ``.remote()``, so a debugger's breakpoint, a profiler and a plain traceback
work as in any program; an error waits in its ref until ``get``, as it does elsewhere.  With
``pickled`` every argument, result and error is written and read back as if it were sent, which
shows what does not pickle, and code that counts on sharing objects.

There are no counts of refs here: a ref holds its entry, an entry its value, and the table of
entries is weak.  So an object is gone with its last ref, by Python's own count.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic_ns
from typing import Any
from weakref import WeakValueDictionary

from paralab import worker_stamps
from paralab.engine import Survey, Told
from paralab.exceptions import ActorExit, ObjectLostError
from paralab.ids import FIRST_RETURN, INDEX_BITS, NODE_ID_SIZE, Address, make_address, object_id
from paralab.library_name import said
from paralab.limits import cpu_count, memory_limit
from paralab.local_mode.groups import LocalGroups
from paralab.local_mode.parts import (
    Actor,
    Entry,
    Mailbox,
    Names,
    NothingIsWaitedFor,
    Running,
    changed_environment,
    described,
    died,
    environment_over,
    finished,
    fresh,
    left,
    refuse_generator,
    resolved,
    retries,
    task_facts,
    told,
    users_part,
)
from paralab.local_mode.streams import LocalStream, values_of
from paralab.local_mode.unseen import Unseen, saw
from paralab.messages import FAILED, INLINE
from paralab.object_ref import ObjectRef
from paralab.remote_errors import as_failure, pack_failure
from paralab.serialization import join_blob, load_args, pack, pack_args, read
from paralab.state.events import EventRing
from paralab.state.key_values import KeyValues
from paralab.task_spec import (
    ActorOptions,
    ActorSpec,
    FunctionSpec,
    TaskOptions,
    bound_method,
    constructed,
)

_RECURSION = 6_000
"""Python frames: a nested task takes six of the same stack, and 500 deep must work."""


class LocalEngine(NothingIsWaitedFor):
    """See :class:`paralab.engine.Engine`."""

    def __init__(
        self,
        pickled: bool = False,
        *,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        resources: Mapping[str, float] | None = None,
        labels: Mapping[str, str] | None = None,
        namespace: str = "",
        runtime_env: Mapping[str, Any] | None = None,
    ) -> None:
        self.mailbox = Mailbox()
        self.events = EventRing()
        self.key_values = KeyValues().do
        self._pickled = pickled
        self._namespace = namespace
        self._names = Names(namespace)
        node = os.urandom(NODE_ID_SIZE)
        self._node = node.hex()
        self._address = make_address(node, 1, 1)
        self._counter = 0
        self._count_lock = threading.Lock()
        self._entries: WeakValueDictionary[int, Entry] = WeakValueDictionary()
        self._pinned: dict[int, ObjectRef] = {}
        self._running = Running()
        self._unseen = Unseen()
        self._capacity = {
            "CPU": float(cpu_count() if num_cpus is None else num_cpus),
            **({"GPU": float(num_gpus)} if num_gpus else {}),
            "memory": float(memory_limit()),
            **{name: float(amount) for name, amount in (resources or {}).items()},
        }
        self._labels = {"ray.io/node-id": self._node, **(labels or {})}
        self.groups = LocalGroups(self._capacity, self._node, self._labels, self._settled)
        self._runtime_env = runtime_env or {}
        self._environment = changed_environment(self._runtime_env)
        self._environment.__enter__()
        self._recursion = sys.getrecursionlimit()
        sys.setrecursionlimit(max(self._recursion, _RECURSION))

    # -- objects -----------------------------------------------------------------------------

    def _new_refs(self, count: int, first: int = FIRST_RETURN) -> tuple[int, list[ObjectRef]]:
        with self._count_lock:
            self._counter += 1
            task = self._counter << INDEX_BITS
        count = 1 if count < 0 else count
        return task, [self._new_ref(task | index) for index in range(first, first + count)]

    def _new_ref(self, key: int) -> ObjectRef:
        entry = self._entries[key] = Entry(key, self._address, self.mailbox)
        return ObjectRef(entry)

    def _store(self, entry: Entry, value: Any) -> None:
        if self._pickled:
            data, buffers, entry.inner = pack(value)
            entry.blob = join_blob(data, buffers)
        else:
            entry.value = value

    def _fail(self, entry: Entry, error: BaseException, function: str) -> None:
        where: dict[str, Any] = {"function": function, "pid": os.getpid(), "node": self._node}
        packed = pack_failure(error, **where)
        entry.origin = error
        entry.error = packed if self._pickled else as_failure(error, **where)
        entry.untold = self._unseen.watch(packed)

    def _value(self, entry: Entry) -> Any:
        if entry.stream is not None:
            entry.stream.drain()
        if entry.error is not None:
            saw(entry)
            raise fresh(entry.error, entry.origin)
        return entry.value if entry.blob is None else read(entry.blob)

    def put(self, value: Any) -> ObjectRef:
        """Keeps ``value`` itself, or when pickled a copy."""
        refuse_generator(value)
        _, (ref,) = self._new_refs(1, 0)
        self._store(ref._entry, value)
        return ref

    def _settled(self, value: Any, error: BaseException | None) -> ObjectRef:
        ref = self.put(value)
        if error is not None:
            self._fail(ref._entry, error, "")
        return ref

    def get(self, refs: Sequence[ObjectRef], timeout: float | None) -> list[Any]:
        """The values: everything that exists has run, so nothing is waited for."""
        return [self._value(ref._entry) for ref in refs]

    def get_one(self, ref: ObjectRef, timeout: float | None) -> Any:
        """See :class:`paralab.engine.Engine`."""
        return self.get((ref,), timeout)[0]

    def restore_ref(self, owner: Address, key: int) -> ObjectRef:
        """A further ref to an object of this engine.

        Raises:
            ObjectLostError: it is gone, or was another session's.
        """
        entry = self._entries.get(key) if owner == self._address else None
        if entry is None:
            raise ObjectLostError(object_id(owner, key).hex())
        return ObjectRef(entry)

    def pin_forever(self, ref: ObjectRef) -> None:
        """Keeps the object until ``shutdown``."""
        self._pinned[ref._entry.key] = ref

    # -- tasks -------------------------------------------------------------------------------

    def submit(
        self,
        function: FunctionSpec,
        options: TaskOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> list[ObjectRef]:
        """Runs the function now; the refs hold its results or its error."""
        submitted = monotonic_ns()
        name = options.name or function.name
        call = self._copied(name, args, kwargs)
        task, refs = self._new_refs(options.num_returns)
        where = self.groups.place_of(options, self._running.stack)
        error = self.groups.failure(where) if where else None
        if error is not None:
            for ref in refs:
                self._fail(ref._entry, error, name)
            return refs
        context = self._context_of(task, name, options)
        context["where"] = where
        with changed_environment(options.runtime_env):
            self._run(call, refs, task, name, submitted, context, options, function.function)
        return refs

    def create_actor(
        self,
        spec: ActorSpec,
        options: ActorOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> ObjectRef:
        """Makes the actor's object now; a failing constructor leaves a dead actor."""
        submitted = monotonic_ns()
        name = f"{spec.name}.__init__"
        call = self._copied(name, args, kwargs)
        task, (ref,) = self._new_refs(1, 0)
        actor = Actor(spec, options, ref)
        if options.name is not None:
            self._names.take(options.name, options.namespace, ref._entry)
        ref._entry.actor = actor
        if options.lifetime == "detached":
            self.pin_forever(ref)

        def construct(*args: Any, **kwargs: Any) -> list[Any]:
            if spec.is_async:
                actor.instance = finished(actor, constructed(spec.cls, args, kwargs))
            else:
                actor.instance = spec.cls(*args, **kwargs)
            return []

        actor.where = where = self.groups.place_of(options, self._running.stack)
        if where and (nowhere := self.groups.failure(where, True)) is not None:
            actor.dead = nowhere
            return ref
        context = self._context_of(task, name, options, actor)
        context["function"] = spec.cls
        with changed_environment(options.runtime_env):
            how = TaskOptions(recorded=options.recorded)
            error = self._run(call, [], task, name, submitted, context, how, construct)
        if error is not None:
            why = f"The actor died because of an error raised in its creation task, {name}()"
            shown = as_failure(error, function=name, pid=os.getpid(), node=self._node)
            actor.dead = died(actor, f"{why}: {shown}", init_failed=True)
            actor.dead.__cause__ = error
            self._unseen.show(f"Exception raised in creation task: {actor.dead}\n")
        return ref

    def call_actor(
        self,
        actor: ObjectRef,
        method: str,
        options: TaskOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> list[ObjectRef]:
        """Calls the method now."""
        submitted = monotonic_ns()
        known = actor._entry.actor
        assert known is not None
        name = options.name or f"{known.name}.{method}"
        call = self._copied(name, args, kwargs)
        task, refs = self._new_refs(options.num_returns)
        with known.lock:
            known.finish_streams()
            if known.dead is not None and options.num_returns >= 0:
                for ref in refs:
                    self._fail(ref._entry, known.dead, name)
                return refs
            context = self._context_of(task, name, known, known)
            bound: Any = None if known.dead else bound_method(known.instance, method)
            with changed_environment(known.runtime_env):
                self._run(call, refs, task, name, submitted, context, options, bound)
        return refs

    def pending_calls(self, actor: ObjectRef) -> int:
        """None: every call is answered when ``remote`` returns."""
        return 0

    def _copied(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[], tuple[Sequence[Any], dict[str, Any]]]:
        """A function that gives the arguments, refs replaced, once for each attempt."""
        for value in (*args, *kwargs.values()):
            refuse_generator(value)
            if type(value) is ObjectRef and value._entry.mailbox is not self.mailbox:
                raise ValueError(f"{value!r} is from a session that was shut down.")
        if not self._pickled:
            return lambda: (
                [self._resolved(value) for value in args],
                {key: self._resolved(value) for key, value in kwargs.items()},
            )
        data, buffers, inner, top = pack_args(args, kwargs, name)
        blob = join_blob(data, buffers)

        def read(held: object = inner) -> tuple[Sequence[Any], dict[str, Any]]:
            values, named = load_args(blob)
            ordered = list(values)
            for place, ref in top:
                if isinstance(place, int):
                    ordered[place] = self._resolved(ref)
                else:
                    named[place] = self._resolved(ref)
            return ordered, named

        return read

    def _resolved(self, value: Any) -> Any:
        return resolved(self._value, value)

    def _run(
        self,
        call: Callable[[], tuple[Sequence[Any], dict[str, Any]]],
        refs: list[ObjectRef],
        task: int,
        name: str,
        submitted: int,
        context: dict[str, Any],
        options: TaskOptions,
        function: Callable[..., Any],
    ) -> BaseException | None:
        """Runs one task with its retries and settles its refs; returns the error if there is."""
        context.setdefault("function", function)
        if options.num_returns < 0:
            result = LocalStream(self, refs[0], call, context, options, function, submitted).begin()
            refs[:] = [result]
            return None
        attempt = 0
        running = self._running.stack
        parent = running[-1]["key"] if running else 0
        packed = monotonic_ns()
        while True:
            stamps = [monotonic_ns()] * 3
            error: BaseException | None = None
            running.append(context)
            try:
                args, kwargs = call()
                stamps[1:] = [monotonic_ns()] * 2
                value = finished(context["actor"], function(*args, **kwargs))
                if context.get("leaves"):  # it has caught what was to end it
                    raise ActorExit
                stamps[2] = monotonic_ns()
                values = values_of(self, value, refs, name, options, attempt)
                for ref, each in zip(refs, values, strict=False):
                    self._store(ref._entry, each)
            except KeyboardInterrupt:
                raise  # the user's own, at the keyboard: there is no other process
            except SystemExit as ending:
                error = left(ending, context)
            except BaseException as failure:
                failure.__traceback__ = users_part(failure.__traceback__)
                error = left(failure, context) if context.get("leaves") else failure
            finally:
                running.pop()
            if error is None or not retries(error, options, attempt, context["actor"]):
                break
            attempt += 1
        stored = monotonic_ns()
        if error is not None:
            packed_error = pack_failure(error, function=name, pid=os.getpid(), node=self._node)
            self.events.failures.append((task | FIRST_RETURN, packed_error))
            for ref in refs:
                self._fail(ref._entry, error, name)
        caller = (
            *(task | FIRST_RETURN, name, parent, attempt, 0, submitted, packed),
            *(*stamps[:1] * 3, context["actor_key"], (), packed),
        )
        outcome = INLINE if error is None else FAILED
        worked = worker_stamps.pack(stamps[0], *stamps, stored)
        if options.recorded:
            self.events.append((self._address, caller, worked, stored, outcome, 0))
            self.events.trim()
        return error

    def _context_of(
        self, task: int, name: str, options: Any, actor: Actor | None = None
    ) -> dict[str, Any]:
        return {
            "key": task | FIRST_RETURN,
            "task_name": name,
            "resources": options.resources,
            "runtime_env": environment_over(options, self._running.stack, self._runtime_env),
            "where": None if actor is None else actor.where,
            "actor": actor,
            "actor_key": 0 if actor is None else actor.key,
        }

    # -- the rest ----------------------------------------------------------------------------

    def kill(self, actor: ObjectRef, no_restart: bool) -> None:
        """Lets the actor's object go; later calls fail."""
        known = actor._entry.actor
        assert known is not None
        if known.dead is None:
            known.dead = died(
                known, said("The actor is dead because it was killed by `paralab.kill`.")
            )
            known.instance = None
        self._pinned.pop(actor._entry.key, None)

    def find_actor(self, name: str, namespace: str | None) -> tuple[ObjectRef, Any] | None:
        """See :class:`paralab.engine.Engine`; here the ref keeps the actor alive."""
        entry = self._names.find(name, namespace)
        if entry is None or entry.actor is None:
            return None
        return ObjectRef(entry), entry.actor.handle_state

    def survey(self, what: str, limit: int, timeout: float) -> Survey:
        """There is one process, and it is this one."""
        answer = told(what, limit, self.events, list(self._entries.values()))
        return Survey([Told(self._address, os.getpid(), True, answer)], [])

    def info(self, what: str) -> Any:
        """See :meth:`paralab.engine.Engine.info`."""
        if what == "context":
            facts = (self._node, self._address, self._namespace, self._runtime_env)
            return task_facts(*facts, self._running.stack)
        if what == "named_actors":
            return self._names.all()
        if what == "address":
            return {"node_id": self._node, "address": "local", "node_ip_address": "127.0.0.1"}
        if what == "cluster_resources":
            return dict(self._capacity)
        if what == "available_resources":
            return self.groups.available(self._running.stack)
        if what == "groups":
            return self.groups.table()
        if what == "nodes":
            return [described(self._node, self._capacity, self._labels)]
        if what in ("store", "spilled"):
            return {}
        if what in ("actors", "workers", "departed", "jobs"):
            found = [each.actor for each in list(self._entries.values()) if what == "actors"]
            return [actor.row(self._address, self._namespace) for actor in found if actor]
        raise ValueError(f"info({what!r}) is not known.")

    def shutdown(self, linger: float = 0.0) -> None:
        """Lets go of what was pinned; may be called twice.  Nothing is under way here."""
        self._pinned.clear()
        self._unseen.tell_all()
        if self._recursion:
            sys.setrecursionlimit(self._recursion)
            self._recursion = 0
            self._environment.__exit__(None, None, None)
