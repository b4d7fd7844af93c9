"""What samplers saw, as a :class:`Profile`: pure, from plain data to frames.

A stack that was seen for a second stands for a second of its task, whether that ran or waited.
Where the thread was on a CPU, or wanted one, for less than :data:`WORKS` of it, the task was
waiting: for a lock, a file, a sleep, other tasks; a frame of its own says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from paralab_profiling.profilers.places import numbered_file
from paralab_profiling.profilers.result import Profile
from paralab_profiling.profilers.tree import Tree, Where
from paralab_profiling.stamps import stamp
from paralab_profiling.svg import duration, percent

WORKS = 0.1
"""Share of the time below which a stack counts as waiting.  Low, for a thread that wants the GIL
waits, too, and yet works."""
MISSED = 0.25
"""Share of looks that were missed from which the title says so."""
WAITING = Where("(waiting)", "", 0, "waiting")


def profile_of(answers: Iterable[Mapping[str, Any]], numbers: Mapping[int, int]) -> Profile:
    """One profile of what several processes told.

    Args:
        answers: as ``paralab.sampling.Sampler.seen`` gives them, one a process.
        numbers: the session's numbers of the processes, by their pids.
    """
    tree, told = Tree(), [_with_numbers(each) for each in answers]
    for each in told:
        for name, path, wall, on_cpu, wanted, _looks in each["stacks"]:
            frames = [Where(name, "", 0, "task")]
            frames += [Where(*each["frames"][number]) for number in path]
            if each["has_cpu"] and on_cpu + wanted < WORKS * wall:
                frames.append(WAITING)
            tree.add(frames, wall / 1e9)
        for name, calls in each["calls"].items():
            tree.add([Where(name, "", 0, "task")], 0.0, calls)
    watched = sum(each["watched"] for each in told)
    cost = sum(each["cost"] for each in told)
    return Profile(
        *("sampler", "s", tree.frames()),
        workers={numbers.get(each["pid"], 0): sum(each["calls"].values()) for each in told},
        seconds=sum(stack[2] for each in told for stack in each["stacks"]) / 1e9,
        samples=sum(each["looks"] for each in told),
        stamp=measured_on(),
        cost=watched / (watched - cost) if cost < watched else None,
        extra={
            "notes": notes(told),
            "cautions": cautions(told),
            "sampling": [_facts(each) for each in told],
        },
    )


def _with_numbers(told: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with the numbers of this notebook's cells, which its process does not know."""
    frames = [(name, numbered_file(file), *more) for name, file, *more in told["frames"]]
    return {**told, "frames": frames}


def measured_on() -> dict[str, str]:
    """What it was measured on, as text by name."""
    return stamp().facts()


def _facts(told: Mapping[str, Any]) -> dict[str, Any]:
    left_out = ("stacks", "frames", "calls", "over", "lines")
    return {name: fact for name, fact in told.items() if name not in left_out}


def notes(told: Sequence[Mapping[str, Any]]) -> list[str]:
    """What has to be known beside the frames, as sentences without an end, the gravest first."""
    said = [f"process {each['pid']}: {each['error']}" for each in told if "error" in each]
    looks, idle, missed = (sum(each[what] for each in told) for what in ("looks", "idle", "missed"))
    if missed:
        worst = max(told, key=lambda each: int(each["longest_gap"]))
        behind = f", before {worst['behind']} was seen" if worst["behind"] else ""
        said.append(
            f"{missed:,} of {missed + looks:,} looks missed, up to "
            f"{duration(worst['longest_gap'] / 1e9)} in a row{behind}: a call into C kept the GIL, "
            "or there was no CPU"
        )
    dropped = sum(each["dropped"] for each in told)
    if dropped:
        said.append(f"{dropped:,} looks kept without their frames: there were too many stacks")
    wall = sum(stack[2] for each in told for stack in each["stacks"])
    if wall and all(each["has_cpu"] for each in told):
        stacks = [stack for each in told for stack in each["stacks"]]
        on_cpu = sum(min(stack[3], stack[2]) for stack in stacks)
        wanted = sum(min(stack[4], max(0, stack[2] - stack[3])) for stack in stacks)
        said.append(f"on a CPU {percent(on_cpu / wall)} of that time")
        if wanted > WORKS * wall:
            said.append(f"{percent(wanted / wall)} of it waiting for a CPU that others used")
    hot: Counter[str] = Counter()
    for each in told:
        for number, line, seen in each["lines"]:
            hot[f"{each['frames'][number][1]}:{line}"] += seen
    if hot:
        place, seen = max(hot.items(), key=lambda item: (item[1], item[0]))
        said.append(f"most often at {place}, in {percent(seen / hot.total())} of what was seen")
    if idle and looks:
        said.append(f"{percent(idle / looks)} of the looks found no call")
    return said


def cautions(told: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is so grave that it belongs to the finding itself."""
    looks, missed = (sum(each[what] for each in told) for what in ("looks", "missed"))
    every = missed + looks
    return [f"{missed:,} of {every:,} looks missed"] if missed > MISSED * every else []
