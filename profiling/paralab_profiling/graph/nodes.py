"""The task graph as data: what needed what, with equal tasks as one node.

Nodes are tasks, folded tasks (see ``graph/folding.py``) and objects put by hand.  The calls of one
actor lie in a room.  Links go from what was there first to what came after: an argument, a ref
inside an argument, or a task that submitted another.  A task that takes something from another
task of the same parent hangs on that one alone, because the parent is to be seen there already.

What a graph cannot show is counted: inputs that are not in the recording, and tasks that the
session had forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from paralab.shown_text import shown_name
from paralab_profiling.graph.folding import CHILD, HOLDS, NEEDS, ORDER, Folded, Web, fold, unfolded
from paralab_profiling.paths import critical_ns, critical_path
from paralab_profiling.recording import Put, Recording, Task

PUT = "put"
"""The state of a node that is no task but an object."""


@dataclass(frozen=True, slots=True)
class Node:
    """One mark of the graph.

    Attributes:
        members: ids of the tasks or puts that it stands for, in the order of their submission.
        name: of the function; "" if they have several, or are puts.
        state: of all of them, one of ``recording.STATES``, or ``"put"``.
        step: its column, from 0.
        room: number of the actor's room that it lies in; None outside of all.
        is_critical: whether one of them is on the critical path.
        is_run: whether it is the middle of a long chain, and not of tasks side by side.
        each_ns, total_ns: median and sum of the run times of those that ended.
        bytes: what was put, in all.
        steps: how many steps one after the other it stands for.
        call: of a single task, what this call is called (``recording.Task``).
    """

    members: tuple[str, ...]
    name: str
    state: str
    step: int
    room: int | None = None
    is_critical: bool = False
    is_run: bool = False
    each_ns: int = 0
    total_ns: int = 0
    bytes: int = 0
    steps: int = 1
    call: str = ""

    @property
    def count(self) -> int:
        """How many tasks or puts it stands for."""
        return len(self.members)


@dataclass(frozen=True, slots=True)
class Link:
    """From one node to one that came after it.

    Attributes:
        source, target: numbers of the nodes.
        kind: ``"needs"``, ``"holds"``, ``"child"`` or ``"order"``; of several the first of these.
        count: how many pairs of tasks it stands for.
        is_critical: whether the critical path goes along it.
    """

    source: int
    target: int
    kind: str
    count: int = 1
    is_critical: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """One actor, or several of a kind whose calls are folded together."""

    name: str
    actors: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """What needed what.

    Attributes:
        nodes: in the order of their first task's submission.
        links: between them.
        rooms: of the actors.
        path: ids of the tasks on the critical path.
        path_ns: for how long they ran as a part of it.
        whole_ns: from the first stamp to the last.
        states: how many tasks are in which state, constructors included.
        actors, puts: how many there are.
        creations: how many tasks are constructors of actors.
        by_get: how many steps of the path follow from no link, but from a ``get`` in the program.
        unknown: how many inputs are not in the recording.
        dropped: how many tasks, puts and waits the session had forgotten.
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    rooms: tuple[Room, ...] = ()
    path: tuple[str, ...] = ()
    path_ns: int = 0
    whole_ns: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    actors: int = 0
    puts: int = 0
    creations: int = 0
    by_get: int = 0
    unknown: int = 0
    dropped: int = 0

    @property
    def tasks(self) -> int:
        """How many tasks and calls there are, without the constructors of actors."""
        return sum(self.states.values()) - self.creations


def graph_of(recording: Recording, *, is_folded: bool = True) -> Graph:
    """The graph of what ran.

    Args:
        recording: from :func:`paralab_profiling.take`, or from a file.
        is_folded: whether equal tasks become one node, as far as is needed to read it.
    """
    return _Maker(recording).graph(is_folded)


class _Maker:
    """Tasks and puts by number, in order of time, and what is known about them."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        parts: list[Task | Put] = [*recording.puts, *recording.tasks]
        # Sorted is stable: of one moment, puts come before tasks.
        self.parts = sorted(parts, key=_began)
        self.at = {part.id: number for number, part in enumerate(self.parts)}
        self.path = critical_path(recording)
        creations = [task for task in recording if task.kind == "creation" and task.actor]
        self.creation_of = {task.actor: self.at[task.id] for task in creations}
        self.first_of: dict[str, int] = {}
        self.class_of: dict[str, str] = {}
        for task in recording:
            if task.actor is not None:
                self.first_of.setdefault(task.actor, self.at[task.id])
                self.class_of.setdefault(task.actor, task.name.rpartition(".")[0] or "?")
        self.turns = self._turns()
        self.unknown = 0
        self.before = [self._before(number) for number in range(len(self.parts))]

    def _turns(self) -> dict[int, int]:
        """For each call of an actor the call before it of the same process, by number."""
        last: dict[tuple[str, int], int] = {}
        turns: dict[int, int] = {}
        for task in self.recording:
            if task.actor is not None and task.kind != "creation":
                key, number = (task.actor, task.owner), self.at[task.id]
                if key in last:
                    turns[number] = last[key]
                last[key] = number
        return turns

    def _before(self, number: int) -> dict[int, str]:
        """What came before one of them, by number, and how they are linked."""
        part = self.parts[number]
        found: dict[int, str] = {}
        if isinstance(part, Task):
            for kind, inputs in ((HOLDS, part.holds), (NEEDS, part.needs)):
                for each in inputs:
                    self.unknown += each not in self.at
                    found[self.at.get(each, number)] = kind
            self.unknown += part.unnamed
            if part.actor is not None and part.kind != "creation":
                found.setdefault(self.creation_of.get(part.actor, number), ORDER)
        siblings = (self.parts[at] for at, kind in found.items() if kind != ORDER)
        parent = self.at.get(part.parent or "", number)
        if not any(each.parent == part.parent for each in siblings if each is not part):
            found.setdefault(parent, CHILD)
        # What a broken file says to come before itself has no place in a graph.
        return {at: kind for at, kind in found.items() if at < number}

    def web(self) -> Web:
        names: dict[str, set[tuple[str, str]]] = {}
        for task in self.recording:
            if task.actor is not None:
                names.setdefault(task.actor, set()).add((task.name, task.state))
        kinds = {actor: frozenset(of) for actor, of in names.items()}
        labels: list[Hashable] = []
        broad: list[Hashable] = []
        for part in self.parts:
            if isinstance(part, Put):
                labels.append(PUT)
                broad.append(PUT)
            else:
                labels.append((part.name, part.state, part.kind, part.actor))
                broad.append((part.name, part.state, part.kind, kinds.get(part.actor or "")))
        return Web(
            labels,
            broad,
            [part.state if isinstance(part, Task) else PUT for part in self.parts],
            self.before,
            frozenset(self.at[put.id] for put in self.recording.puts),
            frozenset(self.creation_of.values()),
            frozenset(self.at[task] for task in self.path),
            self.turns,
        )

    def graph(self, is_folded: bool) -> Graph:
        recording = self.recording
        folded = fold(self.web()) if is_folded else unfolded(self.web())
        rooms, room_of = self._rooms(folded)
        first, last = recording.span_ns
        links = self._links(folded)
        return Graph(
            tuple(self._node(folded, group, room_of) for group in range(len(folded.members))),
            links,
            rooms,
            self.path,
            critical_ns(recording),
            last - first,
            Counter(task.state for task in recording),
            len(self.class_of),
            len(recording.puts),
            sum(task.kind == "creation" for task in recording),
            self._by_get(),
            self.unknown,
            recording.dropped,
        )

    def _rooms(self, folded: Folded) -> tuple[tuple[Room, ...], dict[str, int]]:
        """The rooms, and for each actor the number of its room."""
        label = folded.web.broad if folded.is_broad else folded.web.labels
        keys: dict[Hashable, list[str]] = {}
        for actor, first in self.first_of.items():
            of = label[first]
            assert isinstance(of, tuple)
            keys.setdefault(of[3], []).append(actor)
        rooms = tuple(Room(self.class_of[of[0]], tuple(of)) for of in keys.values())
        return rooms, {actor: at for at, room in enumerate(rooms) for actor in room.actors}

    def _node(self, folded: Folded, group: int, room_of: Mapping[str, int]) -> Node:
        parts = [self.parts[member] for member in folded.members[group]]
        tasks = [part for part in parts if isinstance(part, Task)]
        times = [task.run_ns for task in tasks if task.ran]
        rooms = {room_of.get(task.actor or "") for task in tasks}
        is_chain = group in folded.runs or group in folded.mixed
        return Node(
            tuple(part.id for part in parts),
            (tasks[0].name or "?") if tasks and group not in folded.mixed else "",
            tasks[0].state if tasks else PUT,
            folded.steps[group],
            rooms.pop() if len(rooms) == 1 else None,
            folded.is_critical(group),
            group in folded.runs,
            round(median(times)) if times else 0,
            sum(times),
            sum(part.bytes for part in parts if isinstance(part, Put)),
            len({folded.web.depths[at] for at in folded.members[group]}) if is_chain else 1,
            tasks[0].call if len(parts) == len(tasks) == 1 else "",
        )

    def _links(self, folded: Folded) -> tuple[Link, ...]:
        path = [folded.of[self.at[task]] for task in self.path]
        critical = set(pairwise(path))
        links = [
            Link(source, target, kind, count, (source, target) in critical)
            for (source, target), (kind, count) in folded.links.items()
            # After its constructor an actor runs its first call; that the others follow is plain.
            if (folded.steps[source] < folded.steps[target]) == (kind != ORDER)
        ]
        known = {(link.source, link.target) for link in links}
        for number, earlier in self.turns.items():
            pair = folded.of[earlier], folded.of[number]
            is_upright = folded.steps[pair[0]] == folded.steps[pair[1]] and pair[0] != pair[1]
            if is_upright and pair not in known and pair[::-1] not in known:
                known.add(pair)
                links.append(Link(*pair, ORDER, 1, pair in critical))
        by_id = self.recording.by_id
        for one, other in pairwise(self.path):
            pair = folded.of[self.at[one]], folded.of[self.at[other]]
            is_same_actor = by_id[one].actor is not None and by_id[one].actor == by_id[other].actor
            if is_same_actor and pair not in known and pair[0] != pair[1]:
                known.add(pair)
                links.append(Link(*pair, ORDER, 1, is_critical=True))
        return tuple(links)

    def _by_get(self) -> int:
        by_id = self.recording.by_id
        return sum(
            self.at[one] not in self.before[self.at[other]]
            and by_id[other].parent != one
            and (by_id[one].actor is None or by_id[one].actor != by_id[other].actor)
            for one, other in pairwise(self.path)
        )


def _began(part: Task | Put) -> int:
    return part.start if isinstance(part, Put) else part.stamps["submitted"]


def short_name(name: str, most: int = 16) -> str:
    """The last part of a function's name, as long as there is room for."""
    return shown_name(name.rpartition(".")[2] or name, most)
