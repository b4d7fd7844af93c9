"""Random programs.

A program is a tree of scripts.  A script is a list of operations on numbered *slots*, and is what
the driver, a task, a generator or an actor's method runs.  What a script returns tells what it has
seen: its number, the outcome of each ``get``, and perhaps some of its refs.  ``expecting`` works
out the same without any processes, so a lost, doubled or mixed-up value is seen at the end,
wherever it was.

Beside tasks, actors and values, programs have *features*, each in a part of the seeds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from paralab.task_spec import AS_ACTOR

LARGE = 110_000
"""Bytes of a value that goes into the store."""
MOST_SCRIPTS = 14
DEEPEST = 3
CPU = 10_000
IMPOSSIBLE = 1_000 * CPU
"""More than the node has."""
MOST_DEATHS = 3
"""Times at which workers die in one run: so often can a task be hit."""
OBJECTS = ("task", "put", "inside", "item", "ready")
FEATURES = ("generators", "groups", "environments", "lanes")
MOST_GROUPS = 3
MAKES_SLOT = frozenset({"inside", "call", "stream", "put", "actor", "take", "group", "ready"})
ENVIRONMENTS = ("", "red", "blue", "large", "built", "unbuilt", "unstartable")
BAD_ENVIRONMENTS = ("unbuilt", "unstartable")


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
    group: int = -1
    """The slot of the placement group that it is for."""
    bundle: int = -1
    captures: bool = False
    environment: str = ""
    lanes: str = ""
    """Of an actor: "threads" or "loop", where it runs several calls at once."""
    lane: str = ""
    """Of an actor's call: its concurrency group."""


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
    endless: bool = False
    """Of a generator: it goes on as long as somebody takes what it yields."""


class Blob(NamedTuple):
    """A large value that was as it should be."""

    size: int


class Taken(NamedTuple):
    """What came of asking a generator for items."""

    items: tuple[Any, ...]
    end: tuple[Any] | None
    """The outcome of the ref of its end, if that was met."""


class Result(NamedTuple):
    """What a script returns."""

    number: int
    outcomes: tuple[Any, ...]
    refs: tuple[Any, ...]
    filler: bytes


def value_of(number: int) -> Any:
    """What is stored for a number: itself, or so many bytes."""
    return number if number < LARGE else b"\x07" * number


def features_of(seed: int) -> frozenset[str]:
    """What the program of a seed has beside tasks, actors and values; often nothing."""
    rng = random.Random(f"features of {seed}")
    if rng.random() < 0.4:
        return frozenset()
    return frozenset(rng.sample(FEATURES, rng.choice((1, 1, 1, min(2, len(FEATURES))))))


# -- making them -------------------------------------------------------------------------------


class Maker:
    """Draws a program."""

    def __init__(self, rng: random.Random, features: frozenset[str] = frozenset()) -> None:
        self._random = rng
        self._features = sorted(features)
        self.scripts: list[Script] = []
        self._large = rng.choice((0.06, 0.06, 0.4))
        """How many of the values are large."""
        self.holds_cpu = False
        """Whether an actor holds a CPU."""
        self.groups = 0
        self.grouped_cpus = 0
        """What all groups have together."""

    def program(self) -> Script:
        """The driver's script; all others are in ``scripts``."""
        return self._script(0, 0)

    def _script(self, depth: int, insides: int, yields: bool = False) -> Script:
        """One script, which is called with so many refs inside of something."""
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
            if yields:
                self._yield(script, kinds)
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
        for slot, kind in enumerate(kinds):
            if kind == "group":
                ops.append(Op("remove", slot, number=1))
            if kind == "stream" and rng.random() < 0.5:
                ops.append(Op("take", slot, number=rng.choice((1, 3, 8))))
        return script

    def _operation(self, script: Script, kinds: list[str]) -> None:
        rng = self._random
        ops = script.ops
        chance = rng.random()
        objects = [slot for slot, kind in enumerate(kinds) if kind in OBJECTS]
        actors = [slot for slot, kind in enumerate(kinds) if kind == "actor"]
        if self._features and rng.random() < 0.4:
            getattr(self, "_" + rng.choice(self._features))(script, kinds)
            return
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
            ops.append(Op("actor", -1, None, (), restarts, cpus, retries, **self._kind()))
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
        retries = rng.choice((0, 1, 3, 3))
        op = Op("call", -1, child, (), cpus=CPU, retries=retries, **self._kind())
        for _ in range(rng.randrange(4, 16)):
            script.ops.append(op)
            kinds.append("task")

    def _generators(self, script: Script, kinds: list[str]) -> None:
        """Something with a generator: a new one, or one that there is."""
        rng = self._random
        ops = script.ops
        streams = [slot for slot, kind in enumerate(kinds) if kind == "stream"]
        actors = [slot for slot, kind in enumerate(kinds) if kind == "actor"]
        if not streams or (rng.random() < 0.4 and len(self.scripts) < MOST_SCRIPTS):
            if script.depth < DEEPEST:
                objects = [slot for slot, kind in enumerate(kinds) if kind in OBJECTS]
                actor = rng.choice(actors) if actors and rng.random() < 0.3 else -1
                self._call(script, kinds, objects, actor, "stream")
            return
        slot, chance = rng.choice(streams), rng.random()
        if chance < 0.75:
            ops.append(Op("take", slot, number=rng.choice((1, 1, 2, 5))))
            kinds.append("item")
        elif chance < 0.9:
            ops.append(Op(rng.choice(("close", "drop")), slot))
            kinds[slot] = "gone"
        else:
            ops.append(Op("cancel", slot))

    def _lanes(self, script: Script, kinds: list[str]) -> None:
        """An actor that runs several calls at once, or calls of it."""
        rng = self._random
        actors = [slot for slot, kind in enumerate(kinds) if kind == "actor"]
        if not actors:
            restarts = rng.choice((0, 0, 1, -1))
            lanes = rng.choice(("threads", "loop"))
            retries = rng.choice((0, 1, -1)) if restarts else 0
            op = Op("actor", -1, None, (), restarts, 0, retries, lanes=lanes)
            script.ops.append(op)
            kinds.append("actor")
            return
        first = len(kinds)
        for _ in range(rng.choice((2, 4, 8))):
            objects = [slot for slot, kind in enumerate(kinds) if kind in OBJECTS]
            if len(self.scripts) < MOST_SCRIPTS and script.depth < DEEPEST:
                self._call(script, kinds, objects, rng.choice(actors))
        both = kinds[first : first + 1] + kinds[first + 1 :][-1:]
        if both == ["task", "task"] and rng.random() < 0.5:  # it may wait, or run
            script.ops.append(Op("get", first))
            script.ops.append(Op("cancel", len(kinds) - 1))

    def _groups(self, script: Script, kinds: list[str]) -> None:
        """Something with a placement group, of which the driver has all."""
        rng = self._random
        ops = script.ops
        groups = [slot for slot, kind in enumerate(kinds) if kind == "group"]
        if script.depth:
            return
        if not groups or (rng.random() < 0.3 and self.groups < MOST_GROUPS):
            self._group(script, kinds)
        elif rng.random() < 0.85:
            self._in_group(script, kinds, rng.choice(groups))
        else:
            ops.append(Op("remove", groups[0]))
            kinds[groups[0]] = "gone"
            if rng.random() < 0.3:  # too late
                self._in_group(script, kinds, groups[0])

    def _group(self, script: Script, kinds: list[str]) -> None:
        """A new group, perhaps one for which the node is too small."""
        rng = self._random
        ops = script.ops
        here = len(kinds)
        can_be = rng.random() < 0.85
        bundles, size = rng.choice((1, 1, 2)), rng.choice((1, 1, 2))
        how = (("strategy", rng.choice(("PACK", "SPREAD", "STRICT_PACK"))),)
        ops.append(Op("group", -1, None, how, bundles, size * CPU if can_be else IMPOSSIBLE))
        kinds.append("group" if can_be else "gone")
        self.groups += 1
        self.grouped_cpus += bundles * size * can_be
        if rng.random() < 0.5 or not can_be:
            ops.append(Op("ready", here))
            kinds.append("ready")
        if rng.random() < 0.7:
            self._in_group(script, kinds, here)
        if not can_be:
            ops.append(Op("compute", number=rng.choice((1_000, 4_000_000, 40_000_000))))
            ops.append(Op("remove", here))

    def _in_group(self, script: Script, kinds: list[str], group: int) -> None:
        """Tasks in a group, or an actor."""
        rng = self._random
        objects = [slot for slot, kind in enumerate(kinds) if kind in OBJECTS]
        if "actor" not in kinds and rng.random() < 0.3:
            restarts = rng.choice((0, 1, -1))
            how = self._place(script, group)
            script.ops.append(Op("actor", -1, None, (), restarts, 0, restarts, **how))
            kinds.append("actor")
            return
        for _ in range(rng.choice((1, 2, 4))):
            if len(self.scripts) < MOST_SCRIPTS:
                self._call(script, kinds, objects, -1, group=group)

    def _place(self, script: Script, group: int) -> dict[str, Any]:
        rng = self._random
        made = [op for op in script.ops if op.what in MAKES_SLOT][group]
        bundle = rng.choice((-1, rng.randrange(made.number)))
        return {"group": group, "bundle": bundle, "captures": rng.random() < 0.5}

    def _kind(self) -> dict[str, Any]:
        """Which kind of worker something is for."""
        rng = self._random
        if "environments" not in self._features or rng.random() < 0.4:
            return {}
        weights = (2, 4, 4, 4, 3, 1, 1)
        return {"environment": rng.choices(ENVIRONMENTS, weights)[0]}

    def _environments(self, script: Script, kinds: list[str]) -> None:
        """A few calls; every call of such a program may have an environment."""
        objects = [slot for slot, kind in enumerate(kinds) if kind in OBJECTS]
        for _ in range(self._random.choice((1, 2))):
            if len(self.scripts) < MOST_SCRIPTS and script.depth < DEEPEST:
                self._call(script, kinds, objects, -1)

    def _yield(self, script: Script, kinds: list[str]) -> None:
        """Perhaps a few items, of which one may have a ref in it."""
        rng = self._random
        for _ in range(rng.choice((0, 1, 1, 2, 6))):
            objects = [slot for slot, kind in enumerate(kinds) if kind in OBJECTS]
            slot = rng.choice(objects) if objects and rng.random() < 0.2 else -1
            number = LARGE if rng.random() < self._large else rng.randrange(1_000)
            script.ops.append(Op("yield", slot, number=number))
            if rng.random() < 0.3:
                pause = rng.choice((1_000, 900_000, 3_000_000, 30_000_000))
                script.ops.append(Op("compute", number=pause))

    def _call(
        self,
        script: Script,
        kinds: list[str],
        objects: list[int],
        actor: int,
        what: str = "call",
        group: int = -1,
    ) -> None:
        rng = self._random
        args: list[tuple[str, Any]] = []
        insides = 0
        yields = what == "stream"
        objects = [slot for slot in objects if kinds[slot] in OBJECTS]
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            kind = rng.random()
            if kind < 0.4 or not objects:
                args.append(("value", rng.randrange(1_000)))
            elif kind < 0.75:
                args.append(("top", rng.choice(objects)))
            else:
                args.append(("inside", rng.choice(objects)))
                insides += 1
        if (
            self.scripts[-1].depth == script.depth + 1
            and not insides
            and not yields
            and rng.random() < 0.4
        ):
            child = self.scripts[-1]  # many calls of one function
            if any(op.what in ("inside", "yield") for op in child.ops) or child.endless:
                child = self._script(script.depth + 1, insides, yields)
        else:
            child = self._script(script.depth + 1, insides, yields)
        retries = rng.choice((3, 3, 3, -1, 0)) if actor < 0 else AS_ACTOR
        cpus = rng.choice((CPU, CPU, CPU, CPU // 2, 0))
        ahead = 0
        if yields:
            # An actor whose generator waits for its consumer answers nobody else meanwhile.
            ahead = rng.choice((-1, -1, 1, 2, 5)) if actor < 0 else -1
            child.endless = ahead > 0 and not child.fails and rng.random() < 0.3
        how = self._kind() if actor < 0 else {}
        if actor >= 0 and "lanes" in self._features:
            how = {"lane": rng.choice(("", "", "other"))}
        if group >= 0:
            how |= self._place(script, group)
        script.ops.append(Op(what, actor, child, tuple(args), ahead, cpus, retries, **how))
        kinds.append("stream" if yields else "task")
        if actor >= 0 and rng.random() < 0.5:  # from now on only the actor has them
            for slot in {what for kind, what in args if kind == "inside"}:
                script.ops.append(Op("drop", slot))
                kinds[slot] = "gone"
