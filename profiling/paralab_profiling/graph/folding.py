"""Which tasks are drawn as one, so that ten thousand of them are a picture that can be read.

Each way below folds more than the one before, and the one that folds least of those whose pictures
are small enough is taken, so that a small graph stays as it is:

1. nothing is folded but runs (see below);
2. *twins*: equal tasks that take the same and whose results are taken by the same;
3. *alike*: equal tasks whose inputs are alike and whose takers are alike (a bisimulation; here by
   one pass from the inputs down and one from the results up, repeated while it tells more apart).
   The critical path is kept out of it first, then folded too;
4. all of the same name and state at the same depth;
5. what is then too many steps or too many in a step becomes one that says how many it stands for.

In each of them a *run*, a long chain of equal tasks, is cut to its first three and last two.
Failed and unfinished tasks are never folded into finished ones.  Every fold joins tasks of one
depth, or a run, or neighbouring depths, so the folded graph has no circle either.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

NEEDS, HOLDS, CHILD, ORDER = "needs", "holds", "child", "order"
"""What links two tasks: an argument; a ref inside an argument; one submitted the other; the second
ran after the first on the same actor."""
STRENGTH = (NEEDS, HOLDS, CHILD, ORDER)

MOST_STEPS = 16
MOST_IN_STEP = 12
MOST_NODES = 120
MOST_LINKS = 300
LONG_RUN = 8
"""Equal tasks one after the other that are still drawn one by one."""
RUN_HEAD, RUN_TAIL = 3, 2
TWINS = 5
"""How many twins there have to be before they are folded, while there is room."""
ROUNDS = 4


@dataclass(frozen=True)
class Web:
    """Tasks and puts by number, in an order in which every link goes forward.

    Attributes:
        labels: what is equal by itself; with the actor it runs on.
        broad: the same with the kind of actor in place of the actor.
        states: never folded together.
        before: for each the numbers of those that come before it, with the kind of link.
        puts: numbers of the puts, which stand right before what takes them.
        creations: numbers of the actors' constructors, which stand in the step of the first call.
        path: numbers of those on the critical path.
        turns: for each call of an actor the call that the same process submitted to it before.
            An actor runs them in this order, so a call never stands left of the one before it.
    """

    labels: Sequence[Hashable]
    broad: Sequence[Hashable]
    states: Sequence[str]
    before: Sequence[dict[int, str]]
    puts: frozenset[int]
    creations: frozenset[int]
    path: frozenset[int]
    turns: Mapping[int, int]

    @cached_property
    def depths(self) -> list[int]:
        """For each the length of the longest way to it."""
        depths: list[int] = []
        for member, before in enumerate(self.before):
            at = [depths[other] + (kind != ORDER) for other, kind in before.items()]
            at += [depths[self.turns[member]]] if member in self.turns else []
            depths.append(max(at, default=0))
        return depths

    def in_turn(self, labels: Sequence[Hashable]) -> list[Hashable]:
        """Labels that also tell calls apart whose turn came at another depth."""
        return [
            (label, self.depths[at] if at in self.turns else 0) for at, label in enumerate(labels)
        ]


class Folded:
    """A web with some of its members as one.

    Attributes:
        of: for each member the number of its group.
        members: for each group its members, in order.
        links: kind and count by (group, group after it).
        is_broad: whether actors of a kind are one.
        runs: groups that stand for the middle of a run.
        mixed: groups of several functions.
    """

    def __init__(
        self,
        web: Web,
        keys: Iterable[Hashable],
        depths: Sequence[int],
        *,
        is_broad: bool = False,
        runs: Iterable[int] = (),
        mixed: Iterable[int] = (),
    ) -> None:
        self.of = numbers(keys)
        self.web, self.depths, self.is_broad = web, depths, is_broad
        self.members: list[list[int]] = [[] for _ in range(max(self.of, default=-1) + 1)]
        for member, group in enumerate(self.of):
            self.members[group].append(member)
        # Given by one member each, as the groups get their numbers only here.
        self.runs = {self.of[member] for member in runs}
        self.mixed = {self.of[member] for member in mixed}
        self.links = self._links()

    def _links(self) -> dict[tuple[int, int], tuple[str, int]]:
        found: dict[tuple[int, int], tuple[str, int]] = {}
        for member, before in enumerate(self.web.before):
            for other, kind in before.items():
                pair = self.of[other], self.of[member]
                if pair[0] != pair[1]:
                    known, count = found.get(pair, (kind, 0))
                    found[pair] = min(known, kind, key=STRENGTH.index), count + 1
        return found

    @cached_property
    def steps(self) -> list[int]:
        """For each group its column, from 0: by the longest way from a beginning."""
        depth = [min(self.depths[member] for member in group) for group in self.members]
        ready = [group[0] not in self.web.creations for group in self.members]
        order = sorted(range(len(depth)), key=lambda at: (depth[at], ready[at], at))
        place = {group: at for at, group in enumerate(order)}
        before: dict[int, list[int]] = defaultdict(list)
        after: dict[int, list[int]] = defaultdict(list)
        for (source, target), (kind, _count) in self.links.items():
            # Within a fold of several depths links may go both ways; they are drawn nowhere.
            is_inside = depth[source] == depth[target] and kind != ORDER
            if place[source] < place[target] and not is_inside:
                before[target].append(source)
                after[source].append(target)
        turns: dict[int, set[int]] = defaultdict(set)
        for member, other in self.web.turns.items():
            if place[self.of[other]] < place[self.of[member]]:
                turns[self.of[member]].add(self.of[other])
        steps = [0] * len(depth)
        for group in order:
            for other in before[group]:
                gap = self.links[other, group][0] != ORDER
                steps[group] = max(steps[group], steps[other] + gap)
            steps[group] = max([steps[group], *(steps[other] for other in turns[group])])
        for group in reversed(order):
            later = after[group]
            first = self.members[group][0]
            if not later or not (first in self.web.puts or first in self.web.creations):
                continue
            gap = first in self.web.puts
            steps[group] = max(steps[group], min(steps[other] for other in later) - gap)
        dense = {step: at for at, step in enumerate(sorted(set(steps)))}
        return [dense[step] for step in steps]

    def fits(self) -> bool:
        """Whether a picture of it can be read."""
        if len(self.members) > MOST_NODES or len(self.links) > MOST_LINKS:
            return False
        rows = Counter(self.steps)
        return len(rows) <= MOST_STEPS and max(rows.values(), default=0) <= MOST_IN_STEP

    def is_critical(self, group: int) -> bool:
        """Whether one of its members is on the critical path."""
        return any(member in self.web.path for member in self.members[group])


def fold(web: Web) -> Folded:
    """The folded graph that says most and can still be read."""
    depths = web.depths
    apart = Folded(web, range(len(web.labels)), depths)
    folded = _without_runs(apart)
    if folded.fits():
        return folded
    has_kinds = numbers(web.labels) != numbers(web.broad)
    # From the one that folds most.  If a way's picture is too large, so is that of the next.
    ways: list[tuple[Callable[[], Iterable[Hashable]], bool]] = [
        (partial(zip, web.broad, depths), True),
        (partial(_alike, web, web.in_turn(web.broad)), True),
        *([(partial(_alike_but_for_the_path, web, web.broad, depths), True)] if has_kinds else []),
        (partial(_alike_but_for_the_path, web, web.labels, depths), False),
        (partial(_twins, apart, web.in_turn(web.labels), 2), False),
        (partial(_twins, apart, web.in_turn(web.labels), TWINS), False),
    ]
    best: Folded | None = None
    for way, is_broad in ways:
        folded = _without_runs(Folded(web, way(), depths, is_broad=is_broad))
        if not folded.fits():
            break
        best = folded
    if best is not None:
        return best
    for most in (MOST_IN_STEP, 6, 3, 1):
        folded = _squeezed(folded, most)
        if folded.fits():
            break
    return folded


def unfolded(web: Web) -> Folded:
    """The graph with each task by itself."""
    return Folded(web, range(len(web.labels)), web.depths)


def numbers(keys: Iterable[Hashable]) -> list[int]:
    """For each key a number, counted from 0 in the order in which keys first come."""
    known: dict[Hashable, int] = {}
    return [known.setdefault(key, len(known)) for key in keys]


def _twins(folded: Folded, labels: Sequence[Hashable], fewest: int) -> list[Hashable]:
    """For each group a key that it shares with its twins."""
    before: list[list[tuple[int, str]]] = [[] for _ in labels]
    after: list[list[tuple[int, str]]] = [[] for _ in labels]
    for (source, target), (kind, _count) in folded.links.items():
        after[source].append((target, kind))
        before[target].append((source, kind))
    keys: list[Hashable] = [
        (label, frozenset(sources), frozenset(targets))
        for label, sources, targets in zip(labels, before, after, strict=True)
    ]
    sizes = Counter(keys)
    return [key if sizes[key] >= fewest else at for at, key in enumerate(keys)]


def _alike_but_for_the_path(
    web: Web, labels: Sequence[Hashable], depths: Sequence[int]
) -> list[Hashable]:
    labels = web.in_turn(labels)
    keys = _alike(web, labels, keeps_path=True)
    folded = Folded(web, keys, depths)
    # What was kept apart for the path's sake alone may be twins of it now.
    twins = _twins(folded, [labels[group[0]] for group in folded.members], 2)
    return [twins[group] for group in folded.of]


def _alike(web: Web, labels: Sequence[Hashable], *, keeps_path: bool = False) -> list[int]:
    """For each member the number of those that it is alike."""
    after: list[dict[int, str]] = [{} for _ in labels]
    for member, before in enumerate(web.before):
        for other, kind in before.items():
            after[other][member] = kind
    everyone = range(len(labels))
    now = numbers((labels[at], keeps_path and at in web.path) for at in everyone)
    for _ in range(ROUNDS):
        down = _pass(now, everyone, web.before)
        up = _pass(now, reversed(everyone), after)
        told = numbers(zip(down, up, strict=True))
        if max(told, default=0) == max(now, default=0):
            break
        now = told
    return now


def _pass(
    labels: Sequence[int], order: Iterable[int], links: Sequence[dict[int, str]]
) -> list[int]:
    known: dict[Hashable, int] = {}
    found = [0] * len(labels)
    for member in order:
        others = frozenset((kind, found[other]) for other, kind in links[member].items())
        found[member] = known.setdefault((labels[member], others), len(known))
    return found


def _without_runs(folded: Folded) -> Folded:
    """The same with the middle of each long run as one."""
    keys: list[Hashable] = list(range(len(folded.members)))
    runs: list[int] = []
    for run in _runs(folded):
        if len(run) > LONG_RUN:
            middle = run[RUN_HEAD:-RUN_TAIL]
            runs.append(folded.members[middle[0]][0])
            for group in middle:
                keys[group] = middle[0]
    if not runs:
        return folded
    of = [keys[group] for group in folded.of]
    return Folded(folded.web, of, folded.depths, is_broad=folded.is_broad, runs=runs)


def _runs(folded: Folded) -> Iterable[list[int]]:
    """Chains of groups that are equal, have equally many members, and the same other links."""
    labels = folded.web.broad if folded.is_broad else folded.web.labels
    kinds = [
        (labels[group[0]], len(group), folded.is_critical(at))
        for at, group in enumerate(folded.members)
    ]
    same_after: dict[int, list[int]] = defaultdict(list)
    same_before: dict[int, list[int]] = defaultdict(list)
    others: list[set[tuple[bool, int]]] = [set() for _ in kinds]
    for source, target in folded.links:
        if kinds[source] == kinds[target]:
            same_after[source].append(target)
            same_before[target].append(source)
        else:
            others[source].add((True, target))
            others[target].add((False, source))
    following = {
        at: later[0]
        for at, later in same_after.items()
        if len(later) == 1 and len(same_before[later[0]]) == 1 and others[at] == others[later[0]]
    }
    for start in sorted(following.keys() - following.values()):
        run = [start]
        while run[-1] in following:
            run.append(following[run[-1]])
        yield run


def _squeezed(folded: Folded, most: int) -> Folded:
    """The same with the middle steps as one step, and with at most ``most`` of a kind in a step."""
    web, head, last = folded.web, MOST_STEPS // 2, max(folded.steps, default=0)
    tail = last - (MOST_STEPS - head - 2)
    is_long = last >= MOST_STEPS
    keys: list[Hashable] = list(range(len(folded.members)))
    rows: dict[int, list[int]] = defaultdict(list)
    for group, step in enumerate(folded.steps):
        first = folded.members[group][0]
        if is_long and head <= step < tail:
            keys[group] = ("middle", web.states[first])
        else:
            rows[step].append(group)
    for step, row in rows.items():
        row.sort(key=lambda at: (not folded.is_critical(at), -len(folded.members[at]), at))
        for group in row[most:] if len(row) > most + 1 else ():
            keys[group] = ("others", step, web.states[folded.members[group][0]])
    sizes = Counter(keys)
    mixed = {
        folded.members[group][0]
        for group, key in enumerate(keys)
        if sizes[key] > 1 or group in folded.mixed
    }
    # The depths of what became one step are one depth, whatever they were.
    depths = [folded.steps[group] for group in folded.of]
    depths = [head if is_long and head <= depth < tail else depth for depth in depths]
    runs = [
        folded.members[group][0]
        for group in folded.runs
        if sizes[keys[group]] == 1 and group not in folded.mixed
    ]
    of = [keys[group] for group in folded.of]
    return Folded(web, of, depths, is_broad=folded.is_broad, runs=runs, mixed=mixed)
