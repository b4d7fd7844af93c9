"""What is said of a profile: its finding, how it was measured, the table and the tree as text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from paralab.shown_text import shown_name
from paralab_profiling.details import byte_count
from paralab_profiling.profilers.tree import THREADS_OF, Frame, Where
from paralab_profiling.svg import duration, percent, three_digits

if TYPE_CHECKING:
    from paralab_profiling.profilers.result import Profile

LONGEST = 44
"""Characters of a name in titles and tables."""
_WAITS = ("lock.acquire", "_ThreadHandle.join", "[await]")
"""How a sampler sees a call that waits for its threads.  What these do is in the profile, too, and
is the finding."""


class Answer(NamedTuple):
    """What took most: the user's function, with its libraries, or waiting in one of paralab's."""

    where: Where
    amount: float


def amount_of(value: float, unit: str) -> str:
    """``value`` with its unit: "3.1 s", "412 samples", "1.2 MB"."""
    if unit == "s":
        return duration(value)
    if unit == "samples":
        return counted(round(value), "sample")
    return byte_count(value)


def counted(number: int, noun: str) -> str:
    """A number and what it counts: "1 task", "8 tasks"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(name: str, most: int = LONGEST) -> str:
    """A name that is not longer than ``most`` characters."""
    name = shown_name(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def answer(profile: Profile) -> Answer | None:
    """What took most, see :class:`Answer`; None if nothing was measured."""
    charged: dict[Where, float] = {}
    have_threads = {each.name.removeprefix(THREADS_OF) for each in profile.roots if each.is_threads}
    for root in profile.roots:
        waits = root.is_threads or root.name in have_threads
        _charge(root, root.where, charged, _WAITS if waits else ())
    if not charged or profile.total_of_all <= 0:
        return None
    found = max(charged, key=lambda where: (charged[where], where.name))
    return Answer(found, charged[found])


def _charge(
    frame: Frame, to: Where, charged: dict[Where, float], left_out: Collection[str]
) -> None:
    if frame.name in left_out and not frame.file:
        return
    if frame.kind != "library":
        to = frame.where
    charged[to] = charged.get(to, 0.0) + frame.own
    for child in frame.children:
        _charge(child, to, charged, left_out)


def title(profile: Profile) -> str:
    """The finding in one sentence."""
    tasks = sum(profile.tasks.values())
    over = f", over {counted(tasks, 'task')}" if tasks else ""
    found = answer(profile)
    if found is None:
        missed = sum(profile.missed.values())
        if missed:
            return f"Nothing was measured: {counted(missed, 'task')} could not be profiled"
        return "Nothing was measured: no task ran" if not tasks else f"Nothing measured{over}"
    share = percent(found.amount / profile.total_of_all)
    whole = amount_of(profile.total_of_all, profile.unit)
    over += "".join(f"; {each}" for each in profile.extra.get("cautions", ()))
    if found.where.kind == "waiting":
        return f"{share} of {whole} spent waiting, most of it in {_who_waits(profile)}{over}"
    name = short(found.where.name)
    if found.where.kind == "runtime":
        name = f"{name} of paralab"
    return f"{share} of {whole} in {name}{over}"


def _who_waits(profile: Profile) -> str:
    """The task or function of the user that waited longest."""
    waited: dict[str, float] = {}

    def add(frame: Frame, to: str) -> None:
        if frame.kind in ("task", "yours"):
            to = frame.name
        elif frame.kind == "waiting":
            waited[to] = waited.get(to, 0.0) + frame.own
        for child in frame.children:
            add(child, to)

    for root in profile.roots:
        add(root, root.name)
    return short(max(waited, key=lambda name: (waited[name], name)))


def note(profile: Profile) -> str:
    """How it was measured."""
    return ", ".join(notes(profile))


def notes(profile: Profile) -> list[str]:
    """How it was measured, in parts."""
    parts = [profile.tool]
    workers = len(profile.workers)
    if workers:
        parts.append(f"{workers:,} process{'' if workers == 1 else 'es'}")
    if profile.samples:
        parts.append(counted(profile.samples, "sample"))
    if profile.functions:
        parts.append("every call counted")
    parts += _of_threads(profile)
    parts += dict.fromkeys(map(str, profile.extra.get("notes", ())))
    if profile.cost is not None:
        parts.append(cost(profile))
    for why, count in profile.missed.items():
        parts.append(f"{counted(count, 'task')} not profiled: {why}")
    return parts


def _of_threads(profile: Profile) -> list[str]:
    """What of the tasks' threads is in the profile, and what is not."""
    rows = [[int(count) for count in row[1:4]] for row in profile.extra.get("threads", ())]
    ran, outlived, refused = (sum(counts) for counts in zip([0, 0, 0], *rows, strict=True))
    said = [f"{counted(ran, 'function')} in threads"] * bool(ran)
    if outlived:
        said.append(f"{outlived:,} of them until their task ended, as they went on")
    if refused:
        said.append(f"{refused:,} in threads not sampled: another profiler was at work there")
    return said


def cost(profile: Profile) -> str:
    """What the tool itself costs; "" if that was not measured."""
    if profile.cost is None:
        return ""
    return f"the work takes {three_digits(profile.cost)} × as long with it"


def rows(profile: Profile, most: int = 12) -> list[tuple[str, ...]]:
    """The table: the functions that took most themselves."""
    whole = profile.total_of_all or 1.0
    return [
        (
            short(frame.name),
            place(frame.where),
            percent(frame.own / whole),
            amount_of(frame.own, profile.unit),
            amount_of(frame.total, profile.unit),
            f"{frame.calls:,}" if frame.calls else "",
        )
        for frame in profile.top(most)
    ]


HEAD = ("function", "where", "own share", "own", "total", "calls")


def place(where: Where) -> str:
    """File and line of a function."""
    if not where.file:
        return "built in" if where.kind == "library" else ""
    return f"{where.file}:{where.line}" if where.line else where.file


def text(profile: Profile) -> str:
    """All of it for a terminal, at most 80 columns."""
    lines = [*_wrapped(title(profile)), *_wrapped(note(profile)), ""]
    whole = profile.total_of_all or 1.0
    lines.append(f"{'own':>17} {'total':>11}  {'calls':>8}  function")
    for frame in profile.top(12):
        share = frame.own / whole
        bar = "█" * round(share * 8)
        own, total = amount_of(frame.own, profile.unit), amount_of(frame.total, profile.unit)
        own, total = (each.replace(" samples", "").replace(" sample", "") for each in (own, total))
        calls = f"{frame.calls:,}" if frame.calls else ""
        line = f"{bar:<8} {own:>8} {total:>11}  {calls:>8}  {short(frame.name, 40)}"
        lines.append(line.rstrip())
    if profile.stamp:
        lines += ["", *_wrapped(measured_on(profile))]
    return "\n".join(lines)


def measured_on(profile: Profile) -> str:
    """What it was measured on, in one line; "" if that is not known."""
    return shown_name(" · ".join(profile.stamp.values()))


def tree(profile: Profile, least: float = 0.01) -> str:
    """The frames as an indented tree; those below ``least`` of the whole are left out."""
    return "\n".join(line for root in profile.roots for line in _tree(profile, root, 0, least))


def _tree(profile: Profile, frame: Frame, depth: int, least: float) -> Iterator[str]:
    whole = profile.total_of_all or 1.0
    if frame.total / whole < least:
        return
    times = f" ×{frame.calls:,}" if frame.kind == "task" and frame.calls else ""
    yield (
        f"{amount_of(frame.total, profile.unit):>12}  {'  ' * depth}"
        f"{short(frame.name)}{times}  {place(frame.where)}"
    ).rstrip()
    for child in frame.children:
        yield from _tree(profile, child, depth + 1, least)


def _wrapped(line: str) -> list[str]:
    from textwrap import wrap

    return wrap(line, 80) or [""]
