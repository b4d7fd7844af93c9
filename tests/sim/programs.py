"""Random programs, what they do in an imagined process, and what they must have come to.

A program is a tree of scripts.  A script is a list of operations on numbered *slots*, and is what
the driver, a task or an actor's method runs.  What a script returns tells what it has seen: its
number, the outcome of each ``get``, and perhaps some of its refs.  ``expected`` works out the same
without any processes, so a lost, doubled or mixed-up value is seen at the end, wherever it was.

System failures are allowed where processes died, and only where the rules allow them: each
expectation says which (``may``), and a task with retries left, whose inputs and owner are alive,
may not fail at all.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from paralab.exceptions import LocalNodeDied, ParalabError, TaskError
from paralab.ids import Address
from paralab.task_spec import AS_ACTOR, ActorOptions, ActorSpec, FunctionSpec, TaskOptions
from sim import modules

LARGE = 110_000
"""Bytes of a value that goes into the store."""
MOST_SCRIPTS = 14
DEEPEST = 3
CPU = 10_000
MOST_DEATHS = 3
"""Times at which workers die in one run: so often can a task be hit."""
OBJECTS = ("task", "put", "inside")

OWNER = frozenset({"OwnerDiedError", "ObjectLostError"})
CRASH = frozenset({"WorkerCrashedError"})
ACTOR = frozenset({"ActorDiedError", "ActorUnavailableError"})
CANCELLED = frozenset({"TaskCancelledError"})
NONE: frozenset[str] = frozenset()


class Boom(Exception):
    """What scripts raise on purpose."""


class Bad(NamedTuple):
    """The outcome of a ``get`` that raised."""

    name: str


class Op(NamedTuple):
    """One operation."""

    what: str
    slot: int = -1
    script: Any = None
    args: tuple[tuple[str, Any], ...] = ()
    number: int = 0
    cpus: int = 0
    retries: int = 3


@dataclass
class Script:
    """What one task does."""

    number: int
    depth: int
    ops: list[Op] = field(default_factory=list)
    fails: bool = False
    gives: list[int] = field(default_factory=list)
    """Slots whose refs are in the result."""
    large: bool = False


class Blob(NamedTuple):
    """A large value that was as it should be."""

    size: int


class Result(NamedTuple):
    """What a script returns."""

    number: int
    outcomes: tuple[Any, ...]
    refs: tuple[Any, ...]
    filler: bytes


# -- making them -------------------------------------------------------------------------------


class Maker:
    """Draws a program."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        self.scripts: list[Script] = []
        self._large = rng.choice((0.06, 0.06, 0.4))
        """How many of the values are large."""
        self.holds_cpu = False
        """Whether an actor holds a CPU."""

    def program(self) -> Script:
        """The driver's script; all others are in ``scripts``."""
        return self._script(0, 0, 0)

    def _script(self, depth: int, tops: int, insides: int) -> Script:
        """One script, which is called with so many values and refs."""
        rng = self._random
        script = Script(len(self.scripts), depth)
        self.scripts.append(script)
        kinds: list[str] = []  # of the slots: "task", "put", "actor"
        ops = script.ops
        for at in range(insides):
            ops.append(Op("inside", number=at))
            kinds.append("inside")
        for _ in range(rng.randrange(3, 10) if depth == 0 else rng.randrange(4)):
            self._operation(script, kinds)
        if depth == 0 or rng.random() < 0.8:
            for slot, kind in enumerate(kinds):
                if kind in OBJECTS and rng.random() < (0.9 if depth == 0 else 0.6):
                    ops.append(Op("get", slot))
        if depth:
            script.fails = rng.random() < 0.06
            script.large = rng.random() < self._large
            objects = [slot for slot, kind in enumerate(kinds) if kind in OBJECTS]
            if objects and rng.random() < 0.2:
                script.gives = rng.sample(objects, 1)
        return script

    def _operation(self, script: Script, kinds: list[str]) -> None:
        rng = self._random
        ops = script.ops
        chance = rng.random()
        objects = [slot for slot, kind in enumerate(kinds) if kind in OBJECTS]
        actors = [slot for slot, kind in enumerate(kinds) if kind == "actor"]
        room = len(self.scripts) < MOST_SCRIPTS and script.depth < DEEPEST
        if chance < 0.45 and room:
            for _ in range(rng.choice((1, 1, 1, 2, 5))):
                self._call(script, kinds, objects, -1)
            if rng.random() < 0.15:
                self._burst(script, kinds)
        elif chance < 0.55:
            ops.append(
                Op("put", number=LARGE if rng.random() < 3 * self._large else rng.randrange(100))
            )
            kinds.append("put")
        elif chance < 0.65 and not actors:
            restarts = rng.choice((0, 0, 1, -1))
            retries = rng.choice((0, 1, -1)) if restarts else 0
            # Who holds a CPU for life could leave none for the tasks that are waited for.
            cpus = 0 if self.holds_cpu or script.depth else rng.choice((0, CPU))
            self.holds_cpu |= cpus > 0
            ops.append(Op("actor", number=restarts, retries=retries, cpus=cpus))
            kinds.append("actor")
        elif chance < 0.8 and actors and room:
            for _ in range(rng.choice((1, 2, 4))):
                self._call(script, kinds, objects, rng.choice(actors))
        elif chance < 0.86 and objects:
            ops.append(Op("get", rng.choice(objects)))
        elif chance < 0.89 and objects:
            ops.append(Op("wait", number=rng.randrange(1, len(objects) + 1)))
        elif chance < 0.92 and "task" in kinds:  # another's may not: who else reads it?
            tasks = [slot for slot, kind in enumerate(kinds) if kind == "task"]
            ops.append(Op("cancel", rng.choice(tasks)))
        elif chance < 0.94 and actors:
            ops.append(Op("kill", rng.choice(actors), number=rng.randrange(2)))
        elif chance < 0.97 and objects:
            slot = rng.choice(objects)
            ops.append(Op("drop", slot))
            kinds[slot] = "gone"
        else:
            ops.append(Op("compute", number=rng.choice((1_000, 300_000, 4_000_000, 40_000_000))))

    def _burst(self, script: Script, kinds: list[str]) -> None:
        """Calls of one function that are short enough to queue at a worker."""
        rng = self._random
        child = Script(len(self.scripts), script.depth + 1)
        child.ops.append(Op("compute", number=rng.choice((1_000, 200_000, 600_000))))
        self.scripts.append(child)
        op = Op("call", -1, child, (), cpus=CPU, retries=rng.choice((0, 1, 3, 3)))
        for _ in range(rng.randrange(4, 16)):
            script.ops.append(op)
            kinds.append("task")

    def _call(self, script: Script, kinds: list[str], objects: list[int], actor: int) -> None:
        rng = self._random
        args: list[tuple[str, Any]] = []
        insides = tops = 0
        objects = [slot for slot in objects if kinds[slot] in OBJECTS]
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            kind = rng.random()
            if kind < 0.4 or not objects:
                args.append(("value", rng.randrange(1_000)))
            elif kind < 0.75:
                args.append(("top", rng.choice(objects)))
                tops += 1
            else:
                args.append(("inside", rng.choice(objects)))
                insides += 1
        if self.scripts[-1].depth == script.depth + 1 and not insides and rng.random() < 0.4:
            child = self.scripts[-1]  # many calls of one function
            if any(op.what == "inside" for op in child.ops):
                child = self._script(script.depth + 1, tops, insides)
        else:
            child = self._script(script.depth + 1, tops, insides)
        retries = rng.choice((3, 3, 3, -1, 0)) if actor < 0 else AS_ACTOR
        cpus = rng.choice((CPU, CPU, CPU, CPU // 2, 0))
        script.ops.append(Op("call", actor, child, tuple(args), cpus=cpus, retries=retries))
        kinds.append("task")
        if actor >= 0 and rng.random() < 0.5:  # from now on only the actor has them
            for slot in {what for kind, what in args if kind == "inside"}:
                script.ops.append(Op("drop", slot))
                kinds[slot] = "gone"


# -- running them ------------------------------------------------------------------------------


class Facts:
    """What is written down while a program runs."""

    def __init__(self, scripts: list[Script]) -> None:
        self.scripts = scripts
        self.begun: dict[tuple[Address, int], int] = {}
        """How often a body of each call has begun."""
        self.allowed: dict[tuple[Address, int], int] = {}
        """How often it may begin; -1 for any number."""
        self.actor_calls: dict[tuple[Any, Address], list[int]] = {}
        """By the actor's process and the caller: the calls that began there."""


def facts() -> Facts:
    """Those of the present run."""
    return modules.world().facts  # type: ignore[no-any-return]


def body(number: int, *args: Any) -> Result:
    """What every task runs."""
    _begins()
    return perform(facts().scripts[number], args)


class Holder:
    """What every actor is.  It keeps refs from one call to the next."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def run(self, number: int, *args: Any) -> Result:
        """What every method runs."""
        call = _begins()
        for box in self.kept:
            got = _fetch(modules.world().current.process.engine, box[0])
            assert got != Bad("ObjectLostError"), "an object is gone that an actor holds"
        self.kept = [each for each in args if isinstance(each, list)]
        process = modules.world().current.process
        calls = facts().actor_calls.setdefault((process, call.link.address), [])
        calls.append(call.key)
        return perform(facts().scripts[number], args)


def _begins() -> Any:
    process = modules.world().current.process
    call = process.core.executor.call_here()
    begun = facts().begun
    name = (call.link.address, call.key)
    begun[name] = begun.get(name, 0) + 1
    modules.world().tell(f"{process} begins {call.key >> 32} of {call.link.address.hex()[-12:]}")
    return call


def perform(script: Script, args: tuple[Any, ...]) -> Result:
    """Runs a script in the present process."""
    world = modules.world()
    process = world.current.process
    core = process.engine
    slots: list[Any] = []
    outcomes: list[Any] = [_opened(core, each) for each in args if not isinstance(each, list)]
    inside = [each[0] for each in args if isinstance(each, list)]
    del args
    for op in script.ops:
        match op.what:
            case "inside":
                slots.append(inside[op.number])
            case "call":
                slots.append(_call(core, process, slots, op))
            case "put":
                slots.append(core.put(_value(op.number)))
            case "actor":
                slots.append(_actor(core, process, op))
            case "get":
                outcomes.append(_fetch(core, slots[op.slot]))
            case "wait":
                refs = [r for r in slots if r is not None and r._entry.outcome != 9]
                refs = list({id(ref._entry): ref for ref in refs}.values())
                if refs:
                    core.wait(refs, min(op.number, len(refs)), None, True)
            case "drop":
                slots[op.slot] = None
            case "cancel":
                _cancel(core, slots[op.slot])
            case "kill":
                core.kill(slots[op.slot], bool(op.number))
            case "compute":
                world.sleep(op.number)
    inside = []
    if script.fails:
        raise Boom
    given = tuple([slots[at]] for at in script.gives)
    filler = bytes(LARGE) if script.large else b""
    return Result(script.number, tuple(outcomes), given, filler)


def _value(number: int) -> Any:
    return number if number < LARGE else b"\x07" * number


def _cancel(core: Any, ref: Any) -> None:
    try:
        core.cancel(ref, False, True)
    except ParalabError:
        pass


def _fetch(core: Any, ref: Any) -> Any:
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
        return Blob(len(value)) if value == _value(len(value)) else value
    if isinstance(value, Result) and (value.refs or value.filler):
        filler = b"" if value.filler in (b"", bytes(LARGE)) else b"?"
        return value._replace(
            filler=filler, refs=tuple(_fetch(core, each[0]) for each in value.refs)
        )
    return value


def _options(process: Any, op: Op) -> tuple[Any, TaskOptions]:
    """One function and one options object for each kind of call, as a program would have."""
    known = process.local
    function = known.get("function")
    if function is None:
        function = known["function"] = FunctionSpec(body, "body", id=b"body" * 4)
    key = ("options", op.retries, op.cpus, op.slot < 0)
    options = known.get(key)
    if options is None:
        resources = {"CPU": op.cpus} if op.cpus and op.slot < 0 else {}
        options = TaskOptions(resources=resources, max_retries=op.retries)
        known[key] = options
    return function, options


def _call(core: Any, process: Any, slots: list[Any], op: Op) -> Any:
    args: list[Any] = [op.script.number]
    for kind, what in op.args:
        if kind == "value":
            args.append(what)
        elif kind == "top":
            args.append(slots[what])
        else:
            args.append([slots[what]])
    function, options = _options(process, op)
    if op.slot < 0:
        (ref,) = core.submit(function, options, tuple(args), {})
        # What it had run just before its end, and not answered, a worker does not charge to tasks
        # that may run again.
        retries = MOST_DEATHS if op.retries else 0
    else:
        actor = slots[op.slot]
        (ref,) = core.call_actor(actor, "run", options, tuple(args), {})
        retries = process.local["retries", actor._entry.key]
    facts().allowed[core.address, ref._entry.key] = -1 if retries < 0 else 1 + retries
    return ref


def _actor(core: Any, process: Any, op: Op) -> Any:
    known = process.local
    spec = known.get("class")
    if spec is None:
        spec = known["class"] = ActorSpec(Holder, "Holder", {}, id=b"hold" * 4)
    options = ActorOptions(
        resources={"CPU": op.cpus} if op.cpus else {},
        creation_resources={"CPU": CPU},
        max_restarts=op.number,
        max_task_retries=op.retries,
        handle_state=("Holder",),
    )
    ref = core.create_actor(spec, options, (), {})
    known["retries", ref._entry.key] = op.retries
    return ref


# -- what they must come to --------------------------------------------------------------------


class Expected(NamedTuple):
    """What a ``get`` must give."""

    value: Any
    """A value, a Bad, or a Result of expectations."""
    may: frozenset[str] = NONE
    """Errors that are right too where processes have died."""
    always: frozenset[str] = NONE
    """Errors that are right too."""


def expected(script: Script, args: list[tuple[str, Expected]]) -> Expected:
    """What a script returns, were nobody to die; and what else is right."""
    slots: list[Any] = []
    cancelled: set[int] = set()
    killed: set[int] = set()
    for op in script.ops:
        if op.what == "cancel":
            cancelled.add(op.slot)
        elif op.what == "kill":
            killed.add(op.slot)
    outcomes = [each for kind, each in args if kind != "inside"]
    inside = [each for kind, each in args if kind == "inside"]
    for op in script.ops:
        match op.what:
            case "inside":
                slots.append(inside[op.number])
            case "put":
                value = _value(op.number)
                slots.append(Expected(Blob(op.number) if op.number == LARGE else value))
            case "actor":
                slots.append(Expected(None))
            case "call":
                given = _given(slots, op)
                here = len(slots)
                slots.append(_of_call(op, given, here in cancelled, op.slot in killed))
            case "get":
                outcomes.append(slots[op.slot])
            case "drop":
                slots[op.slot] = None
    if script.fails:
        return Expected(Bad("Boom"))
    refs = tuple(slots[at] for at in script.gives)
    refs = tuple(each._replace(may=each.may | OWNER) for each in refs)
    return Expected(Result(script.number, tuple(outcomes), refs, b""))


def _given(slots: list[Any], op: Op) -> list[tuple[str, Expected]]:
    given = []
    for kind, what in op.args:
        if kind == "value":
            given.append((kind, Expected(what)))
        else:
            given.append((kind, slots[what]))
    return given


def _of_call(
    op: Op, given: list[tuple[str, Expected]], is_cancelled: bool, is_killed: bool
) -> Expected:
    result = expected(op.script, given)
    may, always = result.may, result.always
    for kind, each in given:
        if kind == "top":
            may, always = may | each.may, always | each.always
            if type(each.value) is Bad:
                result = each
    if op.slot >= 0:
        may |= ACTOR
        result = _ends_with_its_actor(result)
        if is_killed:
            always |= ACTOR
    elif 0 <= op.retries < MOST_DEATHS:
        may |= CRASH
    if is_cancelled:
        always |= CANCELLED
    return Expected(result.value, may, always)


def _ends_with_its_actor(result: Expected) -> Expected:
    """A result of which all that is only referred to may be gone when it is asked for."""
    if type(result.value) is not Result:
        return result
    refs = tuple(
        _ends_with_its_actor(each)._replace(always=each.always | OWNER)
        for each in result.value.refs
    )
    return result._replace(value=result.value._replace(refs=refs))


def differs(got: Any, want: Expected, faulty: bool, always: frozenset[str] = NONE) -> str:
    """What is wrong with an outcome; empty if it is right."""
    always |= want.always & CANCELLED  # what it has started is cancelled with it
    if type(got) is Bad:
        if got == want.value or got.name in want.always | always:
            return ""
        if faulty and got.name in want.may:
            return ""
        return f"{got} instead of {_shown(want.value)}"
    if type(want.value) is not Result:
        return "" if got == want.value else f"{_shown(got)} instead of {_shown(want.value)}"
    right = want.value
    if type(got) is not Result or got.number != right.number or got.filler != right.filler:
        return f"{_shown(got)} instead of {_shown(right)}"
    if len(got.outcomes) != len(right.outcomes) or len(got.refs) != len(right.refs):
        return f"{_shown(got)} instead of {_shown(right)}"
    for one, other in zip(got.outcomes + got.refs, right.outcomes + right.refs, strict=True):
        wrong = differs(one, other, faulty, always)
        if wrong:
            return f"in script {got.number}: {wrong}"
    return ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 300 else text[:300] + "…"
