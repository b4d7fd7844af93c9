"""Who keeps an object alive: chains of references that lead to it, as plain data.

From the object one goes back to what holds it, and on, until one meets modules, the variables of
functions that run, or the actor of this process.  Each chain is then told from that end on, with
how each object holds the next::

    module __main__ ──cache──▶ dict of 3 ──['last']──▶ Result ──.data──▶ the object

``objgraph.find_backref_chain`` does the same for one chain, but looks at the whole heap for each
object on its way; here all objects of a level are looked for at once, so that a notebook with a
million objects answers in a second.  No ``repr`` of the user's is called: it may be slow, wrong or
do something.  What only C code holds, such as the array that a view looks at, the garbage
collector does not know; the runtime's ``names_of_refs`` does, for refs.
"""

from __future__ import annotations

import gc
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import CellType, FrameType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

from paralab.boot import ROOT
from paralab.engine import installed
from paralab.shown_text import shown_name

MOST_CHAINS = 6
MOST_LOOKED_AT = 20_000
"""Objects on the way; each search ends then, and what it has is told."""
DEEPEST = 20
_LIBRARIES = (sysconfig.get_path("stdlib"), "<frozen", ROOT)
_SEARCHING = (__name__, "paralab_profiling.memory.holders")


@dataclass(frozen=True, slots=True)
class Step:
    """One object of a chain.

    Attributes:
        what: its kind and how much is in it, such as "dict of 3".
        how: under what it holds the next one, such as ".data" or "['last']"; "" if that is not
            known, and of the last.
    """

    what: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """One way in which an object is held.

    Attributes:
        steps: from what holds it in the end to the object itself.
        is_whole: it begins at a module, a running function or the actor; else it was given up.
    """

    steps: tuple[Step, ...]
    is_whole: bool = True

    def __str__(self) -> str:
        start = "" if self.is_whole else "... "
        words = [f"{step.what} ──{step.how}──▶" for step in self.steps[:-1]]
        return start + " ".join([*words, self.steps[-1].what])


def chains_to(target: Any, most: int = MOST_CHAINS, ignore: Iterable[Any] = ()) -> list[Chain]:
    """How ``target`` is held in this process, at most ``most`` chains, whole ones first.

    Args:
        target: any object that containers can hold.
        most: chains; one for each object that holds it directly.
        ignore: objects that hold it and are not meant, such as the caller's own lists.
    """
    running, variables = _held_by_running()
    hidden = {id(each) for each in [*ignore, *variables]} | {id(ignore), id(variables)}
    gc.collect()  # what is dead already holds nothing
    actor = getattr(getattr(installed(), "executor", None), "instance", None)
    search = _Search(target, [actor], running, hidden)
    while search.is_open():
        search.look()
    found: dict[tuple[Step, ...], Chain] = {}
    if id(target) in running:
        chain = Chain((running[id(target)], Step(what(target))))
        found[chain.steps] = chain
    for holder in search.holders():
        path = search.path(holder)
        steps = _told([*path, target])
        start = running.get(id(path[0]))
        if start is not None:
            steps = (start, *steps)
        chain = Chain(steps, start is not None or path[0] is actor or _is_end(path[0]))
        found.setdefault(chain.steps, chain)
    ordered = sorted(found.values(), key=lambda chain: (not chain.is_whole, len(chain.steps)))
    return ordered[:most]


class _Search:
    """The objects above one object, level by level.

    Attributes:
        known: all that were met, by id; held, so that no id is used again meanwhile.
        above: who holds each of them, by ids.
        distance: how many steps each is from an end of a chain, where there is a way.
    """

    def __init__(
        self, target: Any, ends: Sequence[Any], running: dict[int, Step], hidden: set[int]
    ) -> None:
        self._target = id(target)
        self._ends = {id(each) for each in ends}.union(running)
        self._hidden = hidden
        self.known: dict[int, Any] = {id(target): target}
        self.above: dict[int, list[int]] = {}
        self.distance: dict[int, int] = {}
        self._level = [target]
        self._depth = 0
        hidden |= {id(self.known), id(self.__dict__), id(self)}

    def is_open(self) -> bool:
        """Whether looking on can bring more."""
        direct = self.above.get(self._target, ())
        is_done = self._depth > 0 and all(each in self.distance for each in direct)
        is_long = self._depth >= DEEPEST or len(self.known) > MOST_LOOKED_AT
        return bool(self._level) and not is_done and not is_long

    def look(self) -> None:
        """Goes up by one level."""
        self._depth += 1
        level = self._level
        wanted = {id(each) for each in level}
        asked = tuple(level)  # not made by the call, where it could not be told from others
        found = gc.get_referrers(*asked)
        above: list[Any] = []
        self._level = above
        self._hidden |= {id(level), id(asked), id(found), id(above)}
        for each in found:
            if id(each) in self._hidden or _is_searching(each):
                continue
            for below in wanted.intersection(map(id, gc.get_referents(each))):
                self.above.setdefault(below, []).append(id(each))
            if id(each) not in self.known:
                self.known[id(each)] = each
                if id(each) in self._ends or _is_end(each):
                    self.distance[id(each)] = 0
                else:
                    above.append(each)
        self._measure()

    def _measure(self) -> None:
        below: dict[int, list[int]] = {}
        for each, holders in self.above.items():
            for holder in holders:
                below.setdefault(holder, []).append(each)
        level = [each for each, steps in self.distance.items() if not steps]
        self.distance = dict.fromkeys(level, 0)
        while level:
            following = []
            for holder in level:
                for each in below.get(holder, ()):
                    if each not in self.distance and each != self._target:
                        self.distance[each] = self.distance[holder] + 1
                        following.append(each)
            level = following

    def holders(self) -> list[Any]:
        """Who holds the object directly."""
        return [self.known[each] for each in self.above.get(self._target, ())]

    def path(self, holder: Any) -> list[Any]:
        """From the nearest end to ``holder``; only ``holder`` where none was found."""
        path = [holder]
        while self.distance.get(id(path[0])):
            nearer = self.distance[id(path[0])] - 1
            above = self.above[id(path[0])]
            path.insert(0, self.known[next(a for a in above if self.distance.get(a) == nearer)])
        return path


def _held_by_running() -> tuple[dict[int, Step], list[Any]]:
    """What the variables of running functions hold, by its id, and the dicts made to look.

    The garbage collector does not know of them.
    """
    found: dict[int, Step] = {}
    variables = []
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None:
            if _is_of_program(frame):
                names = frame.f_locals
                variables.append(names)
                for name, value in list(names.items()):
                    if _is_namespace(value):
                        continue  # whose names stand for themselves
                    found.setdefault(id(value), Step(what(frame), shown_name(str(name))))
            frame = frame.f_back
    return found, variables


def _is_of_program(frame: FrameType) -> bool:
    """Whether it is a function of the user's; libraries hold all sorts of things while they run."""
    file = frame.f_code.co_filename
    is_library = file.startswith(_LIBRARIES) or "site-packages" in file
    return not (is_library or frame.f_code.co_name == "<module>" or _is_searching(frame))


def _is_namespace(value: Any) -> bool:
    """Whether it is a module, or the dict of one."""
    if type(value) is not dict:
        return isinstance(value, ModuleType)
    name = value.get("__name__")
    return type(name) is str and getattr(sys.modules.get(name), "__dict__", None) is value


def _is_searching(value: Any) -> bool:
    """Whether it is a frame of this search, which holds what it asks about only for that."""
    return isinstance(value, FrameType) and value.f_globals.get("__name__") in _SEARCHING


def _is_end(value: Any) -> bool:
    if isinstance(value, FrameType):
        return not _is_searching(value)
    return isinstance(value, ModuleType) and sys.modules.get(value.__name__) is value


def _told(path: Sequence[Any]) -> tuple[Step, ...]:
    """What is on the path, each namespace joined with the object whose names it holds."""
    steps: list[Step] = []
    at = 0
    while at < len(path):
        value = path[at]
        below = path[at + 1] if at + 1 < len(path) else None
        if below is not None and at + 2 < len(path) and _names_of(value) is below:
            steps.append(Step(what(value), _named(value, below, path[at + 2])))
            at += 2
        else:
            steps.append(Step(what(value), "" if below is None else how(value, below)))
            at += 1
    return tuple(steps)


def _names_of(value: Any) -> Any:
    """The dict of an object's own names, as it is; None if it has none."""
    if isinstance(value, FrameType):
        return value.f_locals
    try:
        return object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None


def _named(value: Any, names: Any, target: Any) -> str:
    for name, each in list(names.items()):
        if each is target:
            shown = shown_name(str(name)) if type(name) is str else "?"
            return _output(shown) if isinstance(value, (ModuleType, FrameType)) else f".{shown}"
    return ""


def _output(name: str) -> str:
    """What IPython calls ``_3`` for itself is Out[3] for who uses it."""
    digits = name[1:]
    if name.startswith("_") and digits.isascii() and digits.isdigit():
        return f"Out[{digits}]"
    return name


def how(holder: Any, target: Any) -> str:
    """Under what ``holder`` holds ``target``; "" if that cannot be told."""
    kind = type(holder)
    if issubclass(kind, dict):
        for key, value in list(dict.items(holder)):
            if value is target or key is target:
                return f"[{_key(key)}]" if value is target else "as a key"
    elif issubclass(kind, (list, tuple)):
        place = next((at for at, value in enumerate(holder) if value is target), None)
        return "" if place is None else f"[{place}]"
    elif kind is CellType:
        return "captured"
    elif kind is MethodType:
        return ".__self__"
    elif kind is FunctionType:
        named = ("__closure__", "__defaults__", "__kwdefaults__", "__dict__", "__globals__")
        return next((f".{name}" for name in named if getattr(holder, name) is target), "")
    # Newer Pythons keep the values of attributes in the object itself at first.
    names = _names_of(holder)
    return (_named(holder, names, target) if names else "") or _slot(holder, target)


def _slot(holder: Any, target: Any) -> str:
    """The slot in which an object holds another one; "" if it is none."""
    for each in type(holder).__mro__:
        for name, slot in list(each.__dict__.items()):
            try:
                if type(slot) is MemberDescriptorType and slot.__get__(holder) is target:
                    return f".{shown_name(str(name))}"
            except AttributeError:  # it is empty
                continue
    return ""


def _key(key: Any) -> str:
    if type(key) is int or type(key) is float or key is None or type(key) is bool:
        return str(key)
    if type(key) is str:
        return f"'{shown_name(key if len(key) < 30 else key[:29] + '…')}'"
    return shown_name(type(key).__qualname__)


def what(value: Any) -> str:
    """What an object is, in a word or two, without asking itself."""
    kind = type(value)
    name = shown_name(kind.__qualname__)
    if kind is ModuleType:
        return f"module {shown_name(value.__name__)}"
    if kind is FrameType:
        return f"{shown_name(value.f_code.co_name)}() that runs"
    if kind in (FunctionType, type):
        return f"{'class' if kind is type else 'function'} {shown_name(value.__qualname__)}"
    if kind in (list, tuple, dict, set, frozenset, str, bytes, bytearray):
        return f"{name} of {len(value):,}"
    return name
