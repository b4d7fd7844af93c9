"""What a program must have come to, worked out without any processes.

System failures are allowed where processes died, and only where the rules allow them: each
expectation says which (``may``), and a task with retries left, whose inputs and owner are alive,
may not fail at all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sim.programs import (
    BAD_ENVIRONMENTS,
    IMPOSSIBLE,
    LARGE,
    MOST_DEATHS,
    Bad,
    Blob,
    Op,
    Result,
    Script,
    Taken,
    value_of,
)

OWNER = frozenset({"OwnerDiedError", "ObjectLostError"})
CRASH = frozenset({"WorkerCrashedError"})
ACTOR = frozenset({"ActorDiedError", "ActorUnavailableError"})
CANCELLED = frozenset({"TaskCancelledError"})
GONE = "its group was removed"
"""Stands in ``always`` for all that may become of what is in a group that is removed."""
REMOVED = ACTOR | CRASH | {GONE, "TaskPlacementGroupRemoved", "ActorPlacementGroupRemoved"}
NO_ENVIRONMENT = "RuntimeEnvSetupError"
NONE: frozenset[str] = frozenset()


class Expected(NamedTuple):
    """What a ``get`` must give."""

    value: Any
    """A value, a Bad, or a Result of expectations; of a generator, Items or a Bad."""
    may: frozenset[str] = NONE
    """Errors that are right too where processes have died."""
    always: frozenset[str] = NONE
    """Errors that are right too."""

    def also(self, other: Expected) -> Expected:
        """The same, if the errors that are right for ``other`` are so here too."""
        return self._replace(may=self.may | other.may, always=self.always | other.always)


class Items(NamedTuple):
    """What a generator must yield."""

    number: int
    """Of its script."""
    first: tuple[Expected, ...]
    endless: bool

    def at(self, index: int) -> Expected | None:
        """One of them; None behind the last."""
        if index < len(self.first):
            return self.first[index]
        count = index - len(self.first)
        return Expected(Result(self.number, (Expected(count),), (), b"")) if self.endless else None


class Took(NamedTuple):
    """So many items were asked for, from this one on."""

    start: int
    asked: int
    stream: Expected


def expected(script: Script, args: list[tuple[str, Expected]]) -> Expected:
    """What a script returns, were nobody to die; and what else is right."""
    return _expected(script, args)[-1]


def also_right(program: Script) -> frozenset[str]:
    """Errors that are right anywhere in what the driver's script returns.

    The workers that end with a group may own what others have a ref to.
    """
    return OWNER if _slots(program, "remove") else NONE


def _expected(script: Script, args: list[tuple[str, Expected]]) -> list[Expected]:
    """What a script yields, and what it returns."""
    slots: list[Any] = []
    yields: list[Expected] = []
    taken: dict[int, int] = {}
    actors: dict[int, Op] = {}
    cancelled, killed, removed = (_slots(script, what) for what in ("cancel", "kill", "remove"))
    outcomes = [each for kind, each in args if kind != "inside"]
    inside = [each for kind, each in args if kind == "inside"]
    for op in script.ops:
        match op.what:
            case "inside":
                slots.append(inside[op.number])
            case "put":
                value = value_of(op.number)
                slots.append(Expected(Blob(op.number) if op.number == LARGE else value))
            case "actor":
                actors[len(slots)] = op
                slots.append(Expected(None))
            case "group":
                slots.append(Expected(op.cpus < IMPOSSIBLE))
            case "ready":
                slots.append(_in_group(Expected(True), slots, op.slot, removed))
            case "call" | "stream":
                given = _given(slots, op)
                here = len(slots)
                maker = actors.get(op.slot, op)
                call = _of_call(op, maker, given, here in cancelled, op.slot in killed)
                slots.append(_in_group(call, slots, maker.group, removed))
            case "get":
                outcomes.append(slots[op.slot])
            case "take":
                stream, start = slots[op.slot], taken.get(op.slot, 0)
                taken[op.slot] = start + op.number
                outcomes.append(Expected(Took(start, op.number, stream)))
                slots.append(_item(stream, start + op.number - 1))
            case "yield":
                refs = (slots[op.slot].also(Expected(None, OWNER)),) if op.slot >= 0 else ()
                yields.append(Expected(Result(script.number, (Expected(op.number),), refs, b"")))
            case "drop" | "close":
                slots[op.slot] = None
    if script.fails:
        return [*yields, Expected(Bad("Boom"))]
    refs = tuple(slots[at].also(Expected(None, OWNER)) for at in script.gives)
    return [*yields, Expected(Result(script.number, tuple(outcomes), refs, b""))]


def _slots(script: Script, what: str) -> set[int]:
    """The slots that an operation is done to; groups that end last of all do not count."""
    is_last = what == "remove"
    return {op.slot for op in script.ops if op.what == what and not (is_last and op.number)}


def _given(slots: list[Any], op: Op) -> list[tuple[str, Expected]]:
    given = []
    for kind, what in op.args:
        if kind == "value":
            given.append((kind, Expected(what)))
        else:
            given.append((kind, slots[what]))
    return given


def _in_group(call: Expected, slots: list[Any], group: int, removed: set[int]) -> Expected:
    """What is right of a call that is in a group, if it is."""
    if group not in removed:
        return call
    if not slots[group].value:  # it was never made
        call = call._replace(value=Bad("TaskPlacementGroupRemoved"))
    if type(call.value) is Items:
        first = tuple(map(_ends_with_its_actor, call.value.first))
        call = call._replace(value=call.value._replace(first=first))
    return _ends_with_its_actor(call).also(Expected(None, NONE, REMOVED))


def _of_call(
    op: Op, maker: Op, given: list[tuple[str, Expected]], is_cancelled: bool, is_killed: bool
) -> Expected:
    """What is right of a call; ``maker`` made its actor, if it is an actor's."""
    yields = _expected(op.script, given)
    result = yields[-1]
    may, always = result.may, result.always
    if op.slot >= 0:
        yields = [_ends_with_its_actor(each) for each in yields]
        result = yields[-1]
    if op.what == "stream":
        result = Expected(Items(op.script.number, tuple(yields), op.script.endless))
    if maker.environment in BAD_ENVIRONMENTS:
        result = Expected(Bad(NO_ENVIRONMENT))
        always |= {NO_ENVIRONMENT}
    elif maker.environment:
        may |= {NO_ENVIRONMENT}  # if its workers die again and again before they can take work
    for kind, each in given:
        if kind == "top":
            may, always = may | each.may, always | each.always
            if type(each.value) is Bad:
                result = each
    if op.slot >= 0:
        may |= ACTOR
        if is_killed:
            always |= ACTOR
    elif 0 <= op.retries < MOST_DEATHS:
        may |= CRASH
    if is_cancelled:
        always |= CANCELLED
    return Expected(result.value, may, always)


def _item(stream: Expected, index: int) -> Expected:
    """The last ref that was taken: an item's, or that of the end."""
    if type(stream.value) is Bad:
        return stream
    return (stream.value.at(index) or Expected(None)).also(stream)


def _ends_with_its_actor(result: Expected) -> Expected:
    """A result of which all that is only referred to may be gone when it is asked for."""
    if type(result.value) is not Result:
        return result
    refs = tuple(
        _ends_with_its_actor(each).also(Expected(None, NONE, OWNER)) for each in result.value.refs
    )
    return result._replace(value=result.value._replace(refs=refs))


def differs(got: Any, want: Expected, faulty: bool, always: frozenset[str] = NONE) -> str:
    """What is wrong with an outcome; empty if it is right."""
    always |= want.always & CANCELLED  # what it has started is cancelled with it
    if GONE in want.always:
        always |= REMOVED
    if type(want.value) is Took:
        return _differ(got, want.value, faulty, always)
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


def _differ(got: Any, want: Took, faulty: bool, always: frozenset[str]) -> str:
    """What is wrong with what was taken of a generator; empty if it is right."""
    if type(got) is not Taken:
        return f"{_shown(got)} instead of items"
    stream, start = want.stream, want.start
    always |= stream.always & (REMOVED if GONE in stream.always else CANCELLED)
    lost = stream._replace(value=stream.value if type(stream.value) is Bad else None)
    for at, item in enumerate(got.items, start):
        is_last = at == start + len(got.items) - 1
        if is_last and type(item) is Bad and not differs(item, lost, faulty, always):
            continue  # the generator itself was lost
        right = None if type(stream.value) is Bad else stream.value.at(at)
        if right is None:
            return f"item {at} is {_shown(item)} though there is none"
        wrong = differs(item, right, faulty, always)
        if wrong:
            return f"item {at}: {wrong}"
    if got.end is None:
        return (
            "" if len(got.items) == want.asked else f"{_shown(got)} but {want.asked} were asked for"
        )
    (end,) = got.end
    if type(end) is Bad or type(stream.value) is Bad:
        return differs(end, lost, faulty, always)
    if end is not None:
        return f"the end is {_shown(end)}"
    come = start + len(got.items)
    if stream.value.at(come) is not None:
        return f"the end after {come} items"
    return ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 300 else text[:300] + "…"
