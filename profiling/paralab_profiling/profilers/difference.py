"""Two profiles side by side: what each function took before and after.

Runs of several lengths compare by what one task took; with equal numbers of tasks that is the same
as comparing the sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from textwrap import wrap
from typing import Any

from paralab_profiling.palette import RUN
from paralab_profiling.picture import Picture
from paralab_profiling.profilers import words
from paralab_profiling.profilers.result import Profile, ProfileError, clock_of
from paralab_profiling.svg import INK, Drawing, three_digits

MOST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Change:
    """One function before and after.

    Attributes:
        name, place: of the function; file and line as text.
        before, after: what it took itself in one task, in the profiles' unit.
    """

    name: str
    place: str
    before: float
    after: float

    @property
    def more(self) -> float:
        """How much more it took after; negative if less."""
        return self.after - self.before


@dataclass(frozen=True)
class Difference:
    """What has changed between two profiles.

    Attributes:
        before, after: the profiles.
        changes: each function that either has, the largest change first.
    """

    before: Profile
    after: Profile
    changes: tuple[Change, ...]

    @property
    def unit(self) -> str:
        """Of all figures."""
        return self.before.unit

    @property
    def ratio(self) -> float:
        """What a task took after, as a share of what one took before; 0 if that was nothing."""
        before = _per_task(self.before)
        return _per_task(self.after) / before if before else 0.0

    @property
    def title(self) -> str:
        """The finding."""
        before, after = _per_task(self.before), _per_task(self.after)
        if not self.changes or not before:
            return "Nothing to compare: one of the profiles has measured nothing"
        amount = words.amount_of(abs(after - before), self.unit)
        how = f"{amount} {'less' if after < before else 'more'} a task"
        most = self.changes[0]
        part = words.amount_of(abs(most.more), self.unit)
        sign = "less" if most.more < 0 else "more"
        return f"{how} ({three_digits(self.ratio)} ×); {words.short(most.name)}: {part} {sign}"

    @property
    def note(self) -> str:
        """How it was measured."""
        sides = [
            f"{word} {each.tool}, {words.counted(sum(each.tasks.values()), 'task')}"
            for word, each in (("before:", self.before), ("after:", self.after))
        ]
        return "; ".join([*sides, "own figures for one task"])

    @cached_property
    def picture(self) -> Picture:
        """Two bars a function on one scale."""
        return _drawn(self)

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {
            "title": self.title,
            "unit": self.unit,
            "ratio": self.ratio,
            "changes": [
                {"name": c.name, "place": c.place, "before": c.before, "after": c.after}
                for c in self.changes
            ],
        }

    def __repr__(self) -> str:
        return self.picture.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.picture.to_html()}


def compare(before: Profile, after: Profile) -> Difference:
    """What has changed from one profile to another.

    Raises:
        ProfileError: they measured in different units, or by different clocks.
    """
    if clock_of(before) != clock_of(after):
        raise ProfileError("CPU seconds and wall-clock seconds cannot be compared.")
    if before.unit != after.unit:
        raise ProfileError(
            f"A profile in {before.unit} and one in {after.unit} cannot be compared."
        )
    sides = [
        {(each.name, words.place(each.where)): each.own / _tasks(side) for each in side.top(10**6)}
        for side in (before, after)
    ]
    changes = [
        Change(*key, sides[0].get(key, 0.0), sides[1].get(key, 0.0))
        for key in dict.fromkeys([*sides[0], *sides[1]])
    ]
    changes.sort(key=lambda change: (-abs(change.more), change.name))
    return Difference(before, after, tuple(changes))


def _tasks(profile: Profile) -> int:
    return max(1, sum(profile.tasks.values()))


def _per_task(profile: Profile) -> float:
    return profile.total_of_all / _tasks(profile)


def _drawn(found: Difference) -> Picture:
    drawing = Drawing()
    drawing.headline(words.short(found.title, 88), words.short(found.note, 120))
    shown = found.changes[:MOST_ROWS]
    most = max((max(c.before, c.after) for c in shown), default=0.0) or 1.0
    left, width, y = 250.0, 330.0, 62.0
    for change in shown:
        drawing.text(left - 10, y + 12, words.short(change.name, 30), "m e")
        drawing.text(left - 10, y + 25, words.short(change.place, 38), "s e")
        for at, amount, is_pale, word in (
            (y, change.before, True, "before"),
            (y + 14, change.after, False, "after"),
        ):
            long = width * max(amount, 0.0) / most
            tip = f"{change.name}, {word}: {words.amount_of(amount, found.unit)}"
            colour = RUN.colour
            drawing.box(left, at, long, 12, colour, is_pale=is_pale, tip=tip)
            drawing.text(left + long + 6, at + 10, words.amount_of(amount, found.unit), "s")
        sign = "+" if change.more > 0 else "−" if change.more < 0 else "±"
        drawing.text(744, y + 18, sign + words.amount_of(abs(change.more), found.unit), "b e")
        y += 36
    drawing.line(left, 58, y - 4, INK)
    for x, is_pale, word in ((left, True, "before"), (left + 90, False, "after")):
        drawing.box(x, y + 4, 18, 10, RUN.colour, is_pale=is_pale)
        drawing.text(x + 25, y + 13, word, "s")
    left_out = len(found.changes) - len(shown)
    if left_out > 0:
        drawing.text(left + 180, y + 13, f"+ {words.counted(left_out, 'function')} more", "s")
    drawing.height = y + 26
    svg = drawing.finish(found.title, found.note)
    rows = list(_rows(found))
    head = ("function", "where", "before", "after", "difference")
    lines = [*wrap(found.title, 80), *wrap(found.note, 80), ""]
    lines += [f"{b:>10} {a:>10} {d:>10}  {words.short(n, 44)}" for n, _, b, a, d in rows[:12]]
    return Picture(found.title, "\n".join(lines), svg, head, rows, drawing.id)


def _rows(found: Difference) -> Iterator[tuple[str, ...]]:
    for change in found.changes[:40]:
        before, after, more = (
            words.amount_of(each, found.unit) for each in (change.before, change.after, change.more)
        )
        yield words.short(change.name), change.place, before, after, more
