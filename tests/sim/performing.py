"""What a program does in an imagined process, and what is written down meanwhile.

``steps`` runs a script and says where it would wait: for a value, for an item of a generator, for
time.  So the same scripts run in tasks, in generators, and in whatever else can wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from paralab.exceptions import LocalNodeDied, ParalabError, TaskError
from paralab.ids import Address
from paralab.runtime_env import RuntimeEnv
from paralab.task_spec import STREAMING, ActorOptions, ActorSpec, FunctionSpec, TaskOptions, Where
from sim import modules
from sim.programs import (
    CPU,
    LARGE,
    MOST_DEATHS,
    Bad,
    Blob,
    Boom,
    Op,
    Result,
    Script,
    Taken,
    value_of,
)

Call = tuple[Address, int]
"""The caller, and the key of the call there."""


class Place(NamedTuple):
    """What a worker is told of its lease, or its actor's life."""

    depth: int
    where: Where | None


class Facts:
    """What is written down while a program runs."""

    def __init__(self, scripts: list[Script]) -> None:
        self.scripts = scripts
        self.begun: dict[Call, int] = {}
        """How often a body of each call has begun."""
        self.allowed: dict[Call, int] = {}
        """How often it may begin; -1 for any number."""
        self.actor_calls: dict[tuple[Any, Address], list[int]] = {}
        """By the actor's process and the caller: the calls that began there."""
        self.asked: dict[Call, int] = {}
        """How many items of a generator its consumer has asked for."""
        self.ahead: dict[Call, int] = {}
        """By how many items a generator may be ahead of that; only where that is limited."""
        self.variables: dict[Call, dict[str, str]] = {}
        """In which environment a call must run, by the variables that it sets."""
        self.running: dict[tuple[Any, str], int] = {}
        """By the actor's process and the concurrency group: the calls that run there."""
        self.places: dict[Call, Place] = {}
        """Where it must run."""


def facts() -> Facts:
    """Those of the present run."""
    return modules.world().facts  # type: ignore[no-any-return]


def body(number: int, *args: Any) -> Result:
    """What every task runs."""
    _begins()
    return perform(facts().scripts[number], args)


def items(number: int, *args: Any) -> Iterator[Result]:
    """What every generator runs."""
    call = _begins()
    name = (call.link.address, call.key)
    running = steps(facts().scripts[number], args)
    del args
    made = 0
    answer: Any = None
    while True:
        try:
            what, value = running.send(answer)
        except StopIteration as end:
            what, value = "last", end.value
        answer = None
        if what in ("item", "last"):
            ahead = facts().ahead.get(name)
            asked = facts().asked.get(name, 0)
            assert ahead is None or made < asked + ahead, (
                f"item {made} is made though {asked} are asked for and {ahead} may be ahead"
            )
            made += 1
            yield value
            if what == "last":
                return
        else:
            answer = _wait(modules.world().current.process.engine, what, value)
        value = None


class Holder:
    """What every actor is.  It keeps refs from one call to the next."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def run(self, number: int, *args: Any) -> Result:
        """What every method runs."""
        self._look(args)
        return body(number, *args)

    def items(self, number: int, *args: Any) -> Iterator[Result]:
        """What every method runs that is a generator."""
        self._look(args)
        return items(number, *args)

    def _look(self, args: tuple[Any, ...]) -> None:
        process = modules.world().current.process
        for box in self.kept:
            got = fetch(process.engine, box[0])
            assert got != Bad("ObjectLostError"), "an object is gone that an actor holds"
        self.kept = [each for each in args if isinstance(each, list)]
        call = process.core.executor.call_here()
        calls = facts().actor_calls.setdefault((process, call.link.address), [])
        calls.append(call.key)


LIMITS = {"": 2, "other": 1}
"""How many calls an actor with lanes runs at once in each of its groups."""


class Lanes:
    """What every actor is that runs several calls at once: those with threads."""

    def __init__(self) -> None:
        modules.world().sleep(modules.world().bits(22))

    def run(self, number: int, *args: Any) -> Result:
        """What every method runs, in a thread."""
        with _in_lane():
            return body(number, *args)

    def items(self, number: int, *args: Any) -> Iterator[Result]:
        """What every method runs that is a generator."""
        with _in_lane():
            yield from items(number, *args)


class Loops(Lanes):
    """Those with event loops."""

    async def __init__(self) -> None:  # type: ignore[misc]
        await asyncio.sleep(modules.world().bits(22) / 1e9)

    async def arun(self, number: int, *args: Any) -> Result:
        """What every method runs, in an event loop."""
        with _in_lane():
            _begins()
            return await aperform(facts().scripts[number], args)


@contextmanager
def _in_lane() -> Iterator[None]:
    process = modules.world().current.process
    running = facts().running
    group = process.core.executor.call_here().template.group
    where = (process, group)
    running[where] = running.get(where, 0) + 1
    assert running[where] <= LIMITS[group], f"{running[where]} calls run at once in {group!r}"
    try:
        yield
    finally:
        running[where] -= 1


def _begins() -> Any:
    process = modules.world().current.process
    call = process.core.executor.call_here()
    begun = facts().begun
    name = (call.link.address, call.key)
    begun[name] = begun.get(name, 0) + 1
    assert variables_of(process) == facts().variables[name], (
        f"{process} runs what is for {facts().variables[name]} in {variables_of(process)}"
    )
    here = Place(process.core.depth, process.core.executor.assigned._where)
    assert here == facts().places[name], (
        f"{process} runs what is for {facts().places[name]} in {here}"
    )
    modules.world().tell(f"{process} begins {call.key >> 32} of {call.link.address.hex()[-12:]}")
    return call


def variables_of(process: Any) -> dict[str, str]:
    """Those of the environment of a process."""
    return process.core.welcome["environment"][1].get("env_vars", {})  # type: ignore[no-any-return]


def perform(script: Script, args: tuple[Any, ...]) -> Result:
    """Runs a script in the present thread, which waits where the script does."""
    core = modules.world().current.process.engine
    running = steps(script, args)
    del args
    answer: Any = None
    while True:
        try:
            what, value = running.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = _wait(core, what, value)
        value = None


async def aperform(script: Script, args: tuple[Any, ...]) -> Result:
    """Runs a script in a coroutine, which others may run beside."""
    running = steps(script, args)
    del args
    answer: Any = None
    while True:
        try:
            what, value = running.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = None
        if what == "get":
            answer = await afetch(value)
        elif what == "next":
            answer = await anext(value, None)
        elif what == "sleep":
            await asyncio.sleep(value / 1e9)
        value = None


async def afetch(ref: Any) -> Any:
    """As :func:`fetch`, for coroutines."""
    core = modules.world().current.process.engine
    try:
        value = await ref
    except LocalNodeDied:
        raise
    except TaskError as error:
        return Bad(type(error.cause).__name__)
    except ParalabError as error:
        return Bad(type(error).__name__)
    return _opened(core, value)


def _wait(core: Any, what: str, value: Any) -> Any:
    if what == "get":
        return fetch(core, value)
    if what == "next":
        return next(value, None)
    if what == "sleep":
        modules.world().sleep(value)
    return None


def steps(script: Script, args: tuple[Any, ...]) -> Generator[tuple[str, Any], Any, Result]:
    """Runs a script in the present process.

    Yields what it waits for: ("get", ref), sent the outcome; ("next", a generator), sent the next
    ref or None; ("sleep", ns); and ("item", value), what it yields itself.
    """
    world = modules.world()
    process = world.current.process
    core = process.engine
    slots: list[Any] = []
    outcomes: list[Any] = [_opened(core, each) for each in args if not isinstance(each, list)]
    inside = [each[0] for each in args if isinstance(each, list)]
    closed: list[Any] = []
    del args
    for op in script.ops:
        match op.what:
            case "get":
                outcomes.append((yield "get", slots[op.slot]))
            case "take":
                taken, last = yield from _take(slots[op.slot], op.number)
                outcomes.append(taken)
                slots.append(last)
                last = None
            case "close":
                slots[op.slot].close()
                closed.append(slots[op.slot])
                slots[op.slot] = None
            case "compute":
                yield "sleep", op.number
            case "yield":
                boxes = tuple([slots[at]] for at in (op.slot,) if at >= 0)
                filler = bytes(LARGE) if op.number == LARGE else b""
                yield "item", Result(script.number, (op.number,), boxes, filler)
                boxes = ()
            case _:
                _do(core, process, slots, inside, op)
    inside = []
    assert all(stream.is_finished() for stream in closed), "a closed generator has items"
    if script.fails:
        raise Boom
    given = tuple([slots[at]] for at in script.gives)
    filler = bytes(LARGE) if script.large else b""
    result = Result(script.number, tuple(outcomes), given, filler)
    at = 0
    while script.endless:
        yield "item", result
        result = Result(script.number, (at,), (), b"")
        at += 1
    return result


def _do(core: Any, process: Any, slots: list[Any], inside: list[Any], op: Op) -> None:
    """An operation after which the script goes on at once, or with all of its thread."""
    match op.what:
        case "inside":
            slots.append(inside[op.number])
        case "call" | "stream":
            slots.append(_call(core, process, slots, op))
        case "put":
            slots.append(core.put(value_of(op.number)))
        case "actor":
            slots.append(_actor(core, process, slots, op))
        case "wait":
            refs = [r for r in slots if r is not None and type(r) is not str]
            refs = [ref for ref in refs if ref._entry.outcome != 9]
            refs = list({id(ref._entry): ref for ref in refs}.values())
            if refs:
                core.wait(refs, min(op.number, len(refs)), None, True)
        case "group":
            group = modules.world().random.randbytes(14).hex()
            wish = {"bundles": [{"CPU": op.cpus}] * op.number, **dict(op.args)}
            core.groups.create(group, {"name": "", "detached": False, "selectors": [], **wish})
            slots.append(group)
        case "ready":
            slots.append(core.groups.ready(slots[op.slot], True))
        case "remove":
            core.groups.remove(slots[op.slot])
        case "drop":
            slots[op.slot] = None
        case "cancel":
            _cancel(core, slots[op.slot])
        case "kill":
            core.kill(slots[op.slot], bool(op.number))


def _take(stream: Any, count: int) -> Generator[tuple[str, Any], Any, tuple[Taken, Any]]:
    """The outcomes of the next items, and the ref of the last."""
    got: list[Any] = []
    ref: Any = None
    entry = stream.completed()._entry
    name = (entry.owner, entry.key)
    asked = facts().asked
    for _ in range(count):
        asked[name] = asked.get(name, 0) + 1
        ref = yield "next", stream
        if ref is None:
            assert stream.is_finished()
            ref = stream.completed()
            end = yield "get", ref
            return Taken(tuple(got), (end,)), ref
        got.append((yield "get", ref))
    return Taken(tuple(got), None), ref


def _cancel(core: Any, ref: Any) -> None:
    ref = ref.completed() if hasattr(ref, "completed") else ref
    try:
        core.cancel(ref, False, True)
    except ParalabError:
        pass


def fetch(core: Any, ref: Any) -> Any:
    """The value, with those of the refs inside it; or what the error is called."""
    try:
        value = core.get_one(ref, None)
    except LocalNodeDied:
        raise
    except TaskError as error:
        return Bad(type(error.cause).__name__)
    except ParalabError as error:
        return Bad(type(error).__name__)
    return _opened(core, value)


def _opened(core: Any, value: Any) -> Any:
    """A value with those of the refs inside it."""
    if isinstance(value, bytes):
        return Blob(len(value)) if value == value_of(len(value)) else value
    if isinstance(value, Result) and (value.refs or value.filler):
        filler = b"" if value.filler in (b"", bytes(LARGE)) else b"?"
        return value._replace(
            filler=filler, refs=tuple(fetch(core, each[0]) for each in value.refs)
        )
    return value


VARIABLES = {
    "red": {"COLOUR": "red"},
    "blue": {"COLOUR": "blue"},
    "large": {"SIZE": "large"},
    "unstartable": {"STARTS": "no"},
}
"""What the environments of a program set."""
PACKAGES = {"built": ["good"], "unbuilt": ["bad"]}


def environment_of(name: str) -> dict[str, Any]:
    """What stands for one of ``programs.ENVIRONMENTS``."""
    fields: dict[str, Any] = {}
    if name in VARIABLES:
        fields["env_vars"] = VARIABLES[name]
    if name in PACKAGES:
        fields["pip"] = PACKAGES[name]
    return RuntimeEnv(**fields) if fields else {}


def _options(process: Any, slots: list[Any], op: Op) -> tuple[Any, TaskOptions]:
    """One function and one options object for each kind of call, as a program would have."""
    known = process.local
    is_stream = op.what == "stream"
    function = known.get(("function", is_stream))
    if function is None:
        made = FunctionSpec(body, "body", id=b"body" * 4)
        if is_stream:
            made = FunctionSpec(items, "items", is_generator=True, id=b"item" * 4)
        function = known["function", is_stream] = made
    ahead = op.number if is_stream else -1
    where = _where(slots, op)
    where_and_how = (where, op.environment, op.lane)
    key = ("options", op.retries, op.cpus, op.slot < 0, is_stream, ahead, where_and_how)
    options = known.get(key)
    if options is None:
        resources = {"CPU": op.cpus} if op.cpus and op.slot < 0 else {}
        options = known[key] = TaskOptions(
            num_returns=STREAMING if is_stream else 1,
            resources=resources,
            max_retries=op.retries,
            items_ahead=ahead,
            where=where,
            runtime_env=environment_of(op.environment),
            extra={"concurrency_group": op.lane} if op.lane else {},
        )
    return function, options


def _where(slots: list[Any], op: Op) -> Where | None:
    return None if op.group < 0 else Where(slots[op.group], op.bundle, op.captures)


def _call(core: Any, process: Any, slots: list[Any], op: Op) -> Any:
    args: list[Any] = [op.script.number]
    for kind, what in op.args:
        if kind == "value":
            args.append(what)
        elif kind == "top":
            args.append(slots[what])
        else:
            args.append([slots[what]])
    function, options = _options(process, slots, op)
    if op.slot < 0:
        (ref,) = core.submit(function, options, tuple(args), {})
        # What it had run just before its end, and not answered, a worker does not charge to tasks
        # that may run again.
        retries = MOST_DEATHS if op.retries else 0
        variables, place = _variables(process, op), _place(process, options)
    else:
        actor = slots[op.slot]
        retries, variables, place, lanes = process.local["actor", actor._entry.key]
        method = "items" if op.what == "stream" else "arun" if lanes == "loop" else "run"
        (ref,) = core.call_actor(actor, method, options, tuple(args), {})
    key = (ref.completed() if op.what == "stream" else ref)._entry.key
    facts().allowed[core.address, key] = -1 if retries < 0 else 1 + retries
    facts().variables[core.address, key] = variables
    facts().places[core.address, key] = place
    if op.what == "stream" and op.number > 0:
        facts().ahead[core.address, key] = op.number
    return ref


def _variables(process: Any, op: Op) -> dict[str, str]:
    """Those with which a task or actor runs that is started here."""
    own = variables_of(process) if process.name != "driver" else {}
    return {**own, **VARIABLES.get(op.environment, {})}


def _place(process: Any, options: Any) -> Place:
    """Where a task or actor runs that is started here."""
    depth, where = 0, options.where
    if process.name != "driver":
        depth, around = process.core.depth, process.core.executor.assigned._where
        if where is None and around is not None and around.captures:
            where = Where(around.group, -1, True)
    return Place(depth + 1, where)


def _actor(core: Any, process: Any, slots: list[Any], op: Op) -> Any:
    known = process.local
    spec = known.get(("class", op.lanes))
    if spec is None:
        cls: Any = {"threads": Lanes, "loop": Loops}.get(op.lanes, Holder)
        number = (op.lanes or "holder").encode().ljust(16)
        spec = ActorSpec(cls, cls.__name__, {}, op.lanes == "loop", id=number)
        known["class", op.lanes] = spec
    options = ActorOptions(
        resources={"CPU": op.cpus} if op.cpus else {},
        creation_resources={"CPU": CPU},
        max_restarts=op.number,
        max_task_retries=op.retries,
        handle_state=("Holder",),
        where=_where(slots, op),
        runtime_env=environment_of(op.environment),
        max_concurrency=LIMITS[""] if op.lanes else None,
        extra={"concurrency_groups": {"other": LIMITS["other"]}} if op.lanes else {},
    )
    facts_of_it = (op.retries, _variables(process, op), _place(process, options))
    ref = core.create_actor(spec, options, (), {})
    known["actor", ref._entry.key] = (*facts_of_it, op.lanes)
    return ref
