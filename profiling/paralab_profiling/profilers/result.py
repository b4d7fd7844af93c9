"""What a profiler found, merged over tasks and workers: plain data that a file can keep.

::

    worker: tool ──▶ frames ─┐
    worker: tool ──▶ frames ─┴─ merge ──▶ Profile ──save──▶ file ──load──▶ Profile

A tool sees threads; here the roots are tasks: the function's name and how many of its calls went
in.  So profiles of many workers are one tree, and what `paralab` does around a call is no part of
it.  Nothing here needs a runtime.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paralab_profiling.profilers.tree import Frame, frame_of, merged, total_of

if TYPE_CHECKING:
    from paralab_profiling.picture import Picture
    from paralab_profiling.profilers.difference import Difference

FORMAT = "paralab profile"
VERSION = 1
UNITS = ("s", "samples", "bytes")


class ProfileError(ValueError):
    """A file holds no profile that this version can read, or profiles do not fit together."""


@dataclass(frozen=True, slots=True)
class Function:
    """What a tool that counts knows of one function, over all paths.

    Attributes:
        name, file, line: as in a frame.
        calls: how often it was called.
        primitive: how many of these were not made by itself, further up the stack.
        own, total: seconds, without and with what it called.
        callers: for each function that called it, by its place in the profile's ``functions``:
            calls, primitive calls, own and total seconds of these calls.
    """

    name: str
    file: str
    line: int
    calls: int
    primitive: int
    own: float
    total: float
    callers: tuple[tuple[int, int, int, float, float], ...] = ()


@dataclass(frozen=True)
class Profile:
    """What one tool measured.

    Attributes:
        tool: its name.
        unit: of ``own`` and ``total`` of all frames: "s", "samples" or "bytes".
        roots: one frame a function that ran as a task; its ``calls`` are tasks.  Where threads are
            sampled, one more a function for what its threads did, without calls.
        workers: how many tasks each process ran that went in, by the process's number.
        seconds: how long these tasks ran, added up, the tool's cost included.
        samples: how many a sampling tool took; 0 for one that counts.
        functions: what a tool that counts knows besides; else empty.
        stamp: what it was measured on, as text by name.
        cost: how much longer the work took with the tool than without, as a ratio; None if that
            was not measured.
        missed: tasks that were to be profiled and were not, by the reason.
        extra: rows of plain data that only this tool has; merging joins them.  "notes" are said of
            the profile wherever it is shown, "cautions" in its title.
    """

    tool: str
    unit: str
    roots: tuple[Frame, ...]
    workers: Mapping[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    samples: int = 0
    functions: tuple[Function, ...] = field(default=(), repr=False)
    stamp: Mapping[str, str] = field(default_factory=dict)
    cost: float | None = None
    missed: Mapping[str, int] = field(default_factory=dict)
    extra: Mapping[str, Sequence[Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ProfileError(f"The unit of a profile is s, samples or bytes, not {self.unit!r}.")

    @property
    def tasks(self) -> dict[str, int]:
        """How many tasks went in, by the name of their function."""
        counts: dict[str, int] = {}
        for root in (each for each in self.roots if not each.is_threads):
            counts[root.name] = counts.get(root.name, 0) + root.calls
        return counts

    @cached_property
    def total_of_all(self) -> float:
        """All that was measured, in the profile's unit."""
        return sum(root.total for root in self.roots)

    def own(self, name: str) -> float:
        """What functions of that name took themselves, in the profile's unit; 0 if none ran.

        Args:
            name: of a function, such as ``"add"``, or of a task, such as ``"Counter.add"``.
        """
        return sum(
            frame.own for root in self.roots for _, frame in root.walk() if frame.name == name
        )

    def total(self, name: str) -> float:
        """The same with all that they called; recursion counts once."""
        return total_of(self.roots, lambda frame: frame.name == name)

    def calls(self, name: str) -> int:
        """How often functions of that name were called, exactly.

        Raises:
            ProfileError: the tool does not count calls.
        """
        if not self.functions:
            raise ProfileError(
                f"{self.tool} does not count calls; profile with tool='cprofile' for that."
            )
        return sum(each.calls for each in self.functions if each.name == name)

    def top(self, most: int = 10) -> list[Frame]:
        """The functions that took most themselves, over all paths, at most ``most`` of them.

        Each is a frame without children; its ``calls`` are exact where the tool counts.
        """
        found: dict[Any, list[float]] = {}
        for root in self.roots:
            _sum_up(root, found, set())
        counts: dict[tuple[str, str, int], int] = {}
        for each in self.functions:
            key = (each.name, each.file, each.line)
            counts[key] = counts.get(key, 0) + each.calls
        frames = [
            Frame(
                *(where.name, where.file, where.line, own, total),
                counts.get((where.name, where.file, where.line), int(calls)),
                (),
                where.kind,
            )
            for where, (own, total, calls) in found.items()
        ]
        return sorted(frames, key=lambda frame: (-frame.own, frame.name))[:most]

    def merge(self, *others: Profile) -> Profile:
        """This profile and others as one; see :func:`merge`."""
        return merge([self, *others])

    def compare(self, after: Profile) -> Difference:
        """What has changed from this profile to ``after``.

        Raises:
            ProfileError: they measured in different units.
        """
        from paralab_profiling.profilers.difference import compare  # it works on what is here

        return compare(self, after)

    def with_stamp(self, stamp: Mapping[str, str]) -> Profile:
        """The same profile, with what it was measured on."""
        return replace(self, stamp=dict(stamp))

    # -- files -------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "tool": self.tool,
            "unit": self.unit,
            "workers": [[number, count] for number, count in sorted(self.workers.items())],
            "seconds": self.seconds,
            "samples": self.samples,
            "stamp": dict(self.stamp),
            "cost": self.cost,
            "missed": dict(self.missed),
            "extra": {name: list(rows) for name, rows in self.extra.items()},
            "functions": [asdict(each) for each in self.functions],
            "roots": [root.to_dict() for root in self.roots],
        }

    @classmethod
    def from_dict(cls, data: Any) -> Profile:
        """What :meth:`to_dict` has written.

        Raises:
            ProfileError: it is something else, or a later version's.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ProfileError("This is no profile of paralab.")
        version = data.get("version")
        if type(version) is not int or not 1 <= version <= VERSION:
            raise ProfileError(
                f"This profile is of another version of paralab (format {version!r}; this one "
                f"reads up to {VERSION})."
            )
        try:
            cost = data["cost"]
            return cls(
                *(str(data["tool"]), str(data["unit"])),
                tuple(frame_of(root) for root in data["roots"]),
                workers={int(number): int(count) for number, count in data["workers"]},
                seconds=float(data["seconds"]),
                samples=int(data["samples"]),
                functions=tuple(_function_of(each, data) for each in data["functions"]),
                stamp={str(name): str(fact) for name, fact in data["stamp"].items()},
                cost=None if cost is None else float(cost),
                missed={str(why): int(count) for why, count in data["missed"].items()},
                extra={str(name): list(rows) for name, rows in data["extra"].items()},
            )
        except ProfileError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProfileError(f"This profile is damaged: {error!r} is missing or wrong.") from None

    def save(self, path: str | Path) -> Path:
        """Writes a file by the ending of its name.

        ``.json``, or ``.json.gz`` packed, which :meth:`load` reads; ``.html`` and ``.svg`` with
        the picture; ``.speedscope.json`` and ``.collapsed`` for other programs; ``.prof`` for
        SnakeViz and ``pstats``, of cProfile; ``.pyinstrument.html`` is pyinstrument's own page and
        ``.pyisession`` its file, of a profile in seconds.

        Raises:
            ValueError: another ending, a ``.prof`` of a tool that does not count calls, or nothing
                that pyinstrument could show.
            OSError: the file cannot be written.
        """
        from paralab_profiling.profilers.exports import save  # it writes what is defined here

        return save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Profile:
        """Reads what :meth:`save` has written as ``.json`` or ``.json.gz``.

        Raises:
            OSError: the file cannot be read.
            ProfileError: it holds something else, is cut short, or is a later version's.
        """
        source = Path(path)
        raw = source.read_bytes()
        try:
            if raw[:2] == b"\x1f\x8b":
                raw = gzip.decompress(raw)
            return cls.from_dict(json.loads(raw))
        except ProfileError as error:
            raise ProfileError(f"{source.name}: {error}") from None
        except (ValueError, EOFError, OSError, zlib.error, RecursionError):
            raise ProfileError(
                f"{source.name} is no profile, or it is cut short: it cannot be read as JSON."
            ) from None

    def to_speedscope(self) -> dict[str, Any]:
        """As https://www.speedscope.app opens it, when saved as JSON."""
        from paralab_profiling.profilers.exports import to_speedscope

        return to_speedscope(self)

    def to_collapsed(self) -> str:
        """One line a path, ``root;function;function 12``, as flame graph programs take it."""
        from paralab_profiling.profilers.exports import to_collapsed

        return to_collapsed(self)

    # -- shown -------------------------------------------------------------------------------

    @cached_property
    def picture(self) -> Picture:
        """Of times and samples the frames, each as wide as what it took; of memory bars."""
        from paralab_profiling.profilers.tools import picture_of  # it draws what is defined here

        return picture_of(self)

    @property
    def title(self) -> str:
        """The finding."""
        return self.picture.title

    def __repr__(self) -> str:
        return self.picture.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.picture.to_html()}


def merge(profiles: Iterable[Profile]) -> Profile:
    """Several profiles of one tool as one: frames, tasks and seconds are added up.

    Raises:
        ProfileError: there are none, or they are of several tools, units or clocks.
    """
    parts = list(profiles)
    if not parts:
        raise ProfileError("merge() got no profile.")
    first = parts[0]
    for each in parts:
        if (each.tool, each.unit) != (first.tool, first.unit):
            raise ProfileError(
                f"Profiles of {first.tool} in {first.unit} and of {each.tool} in {each.unit} "
                "cannot be merged: their figures do not mean the same."
            )
    if len({clock_of(each) for each in parts if each.roots}) > 1:
        raise ProfileError("Profiles in CPU seconds and in wall-clock seconds cannot be merged.")
    extra: dict[str, list[Any]] = {}
    for each in parts:
        for name, rows in each.extra.items():
            extra.setdefault(name, []).extend(rows)
    costs = {each.cost for each in parts}
    return Profile(
        *(first.tool, first.unit, merged(each.roots for each in parts)),
        workers=_added(each.workers for each in parts),
        seconds=sum(each.seconds for each in parts),
        samples=sum(each.samples for each in parts),
        functions=_functions(parts),
        stamp=next((each.stamp for each in parts if each.stamp), {}),
        cost=first.cost if len(costs) == 1 else None,
        missed=_added(each.missed for each in parts),
        extra=extra,
    )


def clock_of(profile: Profile) -> tuple[str, ...]:
    """By which clock its seconds were taken, if not by the usual one."""
    return tuple(sorted({str(each) for each in profile.extra.get("clock", ())}))


def _added(counts: Iterable[Mapping[Any, int]]) -> dict[Any, int]:
    added: dict[Any, int] = {}
    for each in counts:
        for name, count in each.items():
            added[name] = added.get(name, 0) + count
    return added


def _functions(parts: Sequence[Profile]) -> tuple[Function, ...]:
    """The functions of several profiles, each once."""
    places: dict[tuple[str, str, int], int] = {}
    for part in parts:
        for each in part.functions:
            places.setdefault((each.name, each.file, each.line), len(places))
    sums: list[list[float]] = [[0, 0, 0.0, 0.0] for _ in places]
    callers: list[dict[int, list[float]]] = [{} for _ in places]
    for part in parts:
        here = [places[each.name, each.file, each.line] for each in part.functions]
        for place, each in zip(here, part.functions, strict=True):
            _add(sums[place], (each.calls, each.primitive, each.own, each.total))
            for caller, *figures in each.callers:
                _add(callers[place].setdefault(here[caller], [0, 0, 0.0, 0.0]), figures)
    made = []
    for (name, file, line), place in places.items():
        calls, primitive, own, total = _figures(sums[place])
        by = tuple((caller, *_figures(found)) for caller, found in sorted(callers[place].items()))
        made.append(Function(name, file, line, calls, primitive, own, total, by))
    return tuple(made)


def _add(to: list[float], figures: Sequence[float]) -> None:
    for place, figure in enumerate(figures):
        to[place] += figure


def _figures(found: Sequence[float]) -> tuple[int, int, float, float]:
    calls, primitive, own, total = found
    return int(calls), int(primitive), own, total


def _function_of(data: Any, of: Any) -> Function:
    callers = []
    for caller, *figures in data["callers"]:
        if not 0 <= int(caller) < len(of["functions"]):
            raise ValueError(f"caller {caller!r}")
        callers.append((int(caller), *_figures(figures)))
    return Function(
        str(data["name"]),
        str(data["file"]),
        int(data["line"]),
        int(data["calls"]),
        int(data["primitive"]),
        float(data["own"]),
        float(data["total"]),
        tuple(callers),
    )


def _sum_up(frame: Frame, found: dict[Any, list[float]], above: set[Any]) -> None:
    """Adds own, total and calls of each function; a total only where none is above itself."""
    where = frame.where
    _add(
        found.setdefault(where, [0.0, 0.0, 0]),
        (frame.own, 0.0 if where in above else frame.total, frame.calls),
    )
    below = above | {where}
    for child in frame.children:
        _sum_up(child, found, below)
