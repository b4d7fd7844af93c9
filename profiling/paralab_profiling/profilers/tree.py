"""A tree of frames: who called whom, and what each of them took.

A :class:`Tree` grows while results come in; :meth:`Tree.frames` makes of it what results are made
of.  Frames with the same name, file and line under the same parent are one.  Stacks deeper than
:data:`DEEPEST` are shortened in the middle, so that everything that walks a tree may recurse; what
each function took itself stays exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DEEPEST = 200
KINDS = ("task", "yours", "library", "runtime", "waiting")
THREADS_OF = "threads of "
"""With a task's name, the root of what its threads did."""


class Where(NamedTuple):
    """Which function a frame stands for.

    Attributes:
        name: of the function, as it is shown.
        file: short, without folders of this machine; "" for what is built in.
        line: its first, 0 if it has none.
        kind: one of :data:`KINDS`: the task itself, the user's code, a library's or Python's,
            paralab's, or no code at all: what stands above it was waiting.
    """

    name: str
    file: str = ""
    line: int = 0
    kind: str = "yours"


@dataclass(frozen=True, slots=True)
class Frame:
    """One function, called along one path.

    Attributes:
        name, file, line, kind: see :class:`Where`.
        own: what it took itself, in the unit of its profile.
        total: the same with all that it called.
        calls: how often it was called; of a root how many tasks it stands for; 0 if the tool does
            not count.
        children: what it called, the largest first.
    """

    name: str
    file: str
    line: int
    own: float
    total: float
    calls: int
    children: tuple[Frame, ...] = field(default=(), repr=False)
    kind: str = "yours"

    @property
    def is_threads(self) -> bool:
        """Whether it is no task, but what the threads did that a task started."""
        return self.name.startswith(THREADS_OF) and not self.calls

    @property
    def where(self) -> Where:
        """Which function it is."""
        return Where(self.name, self.file, self.line, self.kind)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Frame]]:
        """This frame and all below, each with its depth, a parent before its children."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)

    def to_dict(self) -> dict[str, Any]:
        """As plain data; :func:`frame_of` reads it."""
        return {
            "name": self.name,
            "file": self.file,
            "line": self.line,
            "own": self.own,
            "total": self.total,
            "calls": self.calls,
            "kind": self.kind,
            "children": [child.to_dict() for child in self.children],
        }


def frame_of(data: Any, depth: int = 0) -> Frame:
    """What :meth:`Frame.to_dict` has written.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    if depth > DEEPEST + 2:
        raise ValueError(f"frames are nested deeper than {DEEPEST}")
    if data["kind"] not in KINDS:
        raise ValueError(f"{data['kind']!r} is no kind of frame")
    return Frame(
        str(data["name"]),
        str(data["file"]),
        int(data["line"]),
        float(data["own"]),
        float(data["total"]),
        int(data["calls"]),
        tuple(frame_of(child, depth + 1) for child in data["children"]),
        str(data["kind"]),
    )


class _Node:
    __slots__ = ("calls", "children", "own")

    def __init__(self) -> None:
        self.own = 0.0
        self.calls = 0
        self.children: dict[Where, _Node] = {}


class Tree:
    """Frames under construction."""

    def __init__(self) -> None:
        self._top = _Node()

    def __bool__(self) -> bool:
        return bool(self._top.children)

    def add(self, path: Sequence[Where], own: float, calls: int = 0) -> None:
        """Adds to the frame at the end of ``path``, which begins with a root.

        Args:
            path: the functions from the root on; nothing is added to an empty one.
            own: what the last of them took itself.
            calls: how often it was called.
        """
        if not path:
            return
        if len(path) > DEEPEST:
            path = [*path[: DEEPEST - 1], path[-1]]
        node = self._top
        for where in path:
            found = node.children.get(where)
            if found is None:
                found = node.children[where] = _Node()
            node = found
        node.own += own
        node.calls += calls

    def add_frames(
        self, frames: Iterable[Frame], under: Sequence[Where] = (), factor: float = 1.0
    ) -> None:
        """Adds whole frames, their figures times ``factor``, below the path ``under``."""
        for frame in frames:
            path = [*under, frame.where]
            self.add(path, frame.own * factor, frame.calls)
            self.add_frames(frame.children, path, factor)

    def frames(self) -> tuple[Frame, ...]:
        """The roots, the largest first."""
        return _frames(self._top)


def _frames(node: _Node) -> tuple[Frame, ...]:
    made = []
    for where, each in node.children.items():
        children = _frames(each)
        total = each.own + sum(child.total for child in children)
        frame = (where.name, where.file, where.line, each.own, total, each.calls)
        made.append(Frame(*frame, children, where.kind))
    return tuple(sorted(made, key=lambda frame: (-frame.total, frame.where)))


def without_inside(path: Sequence[Where]) -> Sequence[Where]:
    """A path that ends where it enters paralab, whose inside is nobody's business."""
    for at, where in enumerate(path):
        if where.kind == "runtime":
            return path[: at + 1]
    return path


def merged(roots: Iterable[Iterable[Frame]]) -> tuple[Frame, ...]:
    """The roots of several results as those of one."""
    tree = Tree()
    for each in roots:
        tree.add_frames(each)
    return tree.frames()


def total_of(roots: Iterable[Frame], wanted: Callable[[Frame], bool]) -> float:
    """What all frames that are wanted took with what they called, recursion counted once."""
    found = 0.0
    for frame in roots:
        found += frame.total if wanted(frame) else total_of(frame.children, wanted)
    return found
