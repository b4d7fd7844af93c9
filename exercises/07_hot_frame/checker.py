"""Gives profiles to the answer: a made-up one with known traps, and one of workers just now.

Nothing rests on how long anything took: the answer is compared with what the same profile says.
"""

import math
import random
import time

import paralab
from paralab_profiling import Frame, Profile, profile
from paralab_profiling.exercises.calls import Decided, call, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet
from paralab_profiling.lessons.checking import CANNOT_JUDGE, Verdict
from paralab_profiling.svg import percent, three_digits

ANSWER = "diagnose"
DRIVER = "this process"
WORKERS, TASKS = 2, 4
"""Of the program that is measured."""
PATIENCE = 60.0
"""Seconds in which its workers have to tell what they measured."""
NAMES = ["parse", "weigh", "sift", "shift", "scale", "mirror", "load", "draw"]


def frame(name, own, *children, kind="yours", calls=1):
    """A frame whose total is what it and its children took, the largest child first."""
    below = tuple(sorted(children, key=lambda child: -child.total))
    total = own + sum(child.total for child in below)
    return Frame(name, "main.py", 1, own, total, calls, below, kind)


def made_up(rng):
    """In tasks one function is the hottest, but only over both paths to it.

    get takes more, as do a function of the driver, the path's callers, and a path of another
    function, each if one looks at it in the wrong way.
    """
    hot, other, small, caller, first, second, seeds, drawn = rng.sample(NAMES, len(NAMES))
    unit = rng.uniform(0.5, 2)

    def about(seconds):
        return unit * seconds * rng.uniform(0.97, 1.03)

    driver = frame(
        DRIVER, 0.0,
        frame("main", about(0.02), frame("get", about(4), kind="runtime"),
              frame(seeds, about(1.3)), frame(drawn, about(0.2))),
        kind="task",
    )  # fmt: skip
    tasks = [
        frame(first, about(0.01),
              frame(caller, about(0.3), frame(hot, about(0.5)), frame(small, about(0.2))),
              kind="task", calls=8),
        frame(second, about(0.01), frame(other, about(0.75)),
              frame(caller, about(0.05), frame(hot, about(0.5))), kind="task", calls=8),
    ]  # fmt: skip
    return Profile("cprofile", "s", (driver, *tasks), workers={1: 9, 2: 8})


def measured_now():
    """A profile of the notebook's program, smaller, with all that its workers did."""

    def rounded(number):
        whole, _, digits = f"{number:.6f}".partition(".")
        return int(whole) + int(digits) / 1_000_000

    def is_hit(rng):
        return rounded(rng.random()) ** 2 + rounded(rng.random()) ** 2 <= 1

    def hits(darts, seed):
        rng = random.Random(seed)
        return sum(is_hit(rng) for _ in range(darts))

    def seeds_of(tasks):
        return [sum(number * number for number in range(5_000)) + task for task in range(tasks)]

    task = paralab.remote(hits)
    with profile(tool="cprofile", driver=True) as found:
        paralab.get([task.remote(2_000, seed) for seed in seeds_of(TASKS)])
    deadline = time.monotonic() + PATIENCE
    while tasks_in(found.refresh()) < TASKS and time.monotonic() < deadline:
        pass  # a worker that is short of CPU answers late
    return found.result


def tasks_in(found):
    return sum(root.calls for root in of_tasks(found))


def of_tasks(found):
    return [root for root in found.roots if root.name != DRIVER]


def own_times(roots):
    """Own time of each function, over all paths."""
    sums = {}
    for root in roots:
        for _, each in root.walk():
            sums[each.name] = sums.get(each.name, 0.0) + each.own
    return sums


def hottest(found):
    sums = own_times(of_tasks(found))
    return max(sums, key=sums.__getitem__)


def parts(found):
    """Seconds of the driver's work, of its waiting, and of all tasks."""
    waited = found.total("get")
    work = sum(root.total for root in found.roots if root.name == DRIVER) - waited
    return work, waited, sum(root.total for root in of_tasks(found))


def amdahl(serial, parallel, workers):
    return (serial + parallel) / (serial + parallel / workers)


@decides
def check(answer):
    name, rng = name_of(answer), random.Random()
    found, workers = made_up(rng), rng.randrange(3, 9)
    compare(name, call(answer, found, workers), found, workers, "a made-up profile")
    measured = measured_now()
    seen = tasks_in(measured)
    if seen < TASKS:
        rows = [("tasks that were profiled", f"{seen} of {TASKS}"), ("next", "check it again")]
        return Verdict(CANNOT_JUDGE, "Cannot judge: the workers do not answer.", rows)
    compare(name, call(answer, measured, WORKERS), measured, WORKERS, "tasks that ran just now")
    serial, _, parallel = parts(measured)
    hot, share = hottest(measured), max(own_times(of_tasks(measured)).values()) / parallel
    return passed(
        f"{name} finds the hot frame, and the bound.",
        [(f"hot frame of {seen} tasks that ran just now", f"{hot}, {percent(share)} of their time"),
         ("serial part of their program", percent(serial / (serial + parallel))),
         ("the bound on 2 workers",
          f"{three_digits(amdahl(serial, parallel, WORKERS))} × as fast as on 1")],
        "make the hot frame of the notebook's program cheaper, and profile again. Does the bound "
        "rise or fall?",
    )  # fmt: skip


def compare(name, result, found, workers, of):
    """Nothing if the answer is right.

    Raises:
        Decided: it is not.
    """
    try:
        hot, bound = result
        hot, bound = str(hot), float(bound)
    except (TypeError, ValueError):
        raise Decided(verdict(
            "result", f"{name} gave something else than a name and a number.",
            " ".join(repr(result)[:60].split()), "such as ('is_hit', 1.7)",
            "return the name of the hot frame, and the bound",
        )) from None  # fmt: skip
    expected = hottest(found)
    if hot != expected:
        sums = own_times(of_tasks(found))
        kind, then = kind_of_frame(hot, found)
        raise Decided(verdict(
            kind, f"{name}: in {of} another frame is the hot one.",
            f"{hot!r:.40}: {seconds(sums.get(hot, 0))} of its own in all tasks",
            f"{expected}: {seconds(sums[expected])}", then,
        ))  # fmt: skip
    serial, waited, parallel = parts(found)
    if not math.isclose(bound, amdahl(serial, parallel, workers), rel_tol=1e-6):
        kind, then = "result", "compute serial and parallel seconds by hand for this profile"
        if math.isclose(bound, workers, rel_tol=1e-6):
            kind, then = "serial part", "add what the driver computes before and after the tasks"
        elif math.isclose(bound, amdahl(serial + waited, parallel, workers), rel_tol=1e-6):
            kind, then = "waiting", "leave out what the driver spent in get"
        elif math.isclose(bound, (serial + parallel) / serial, rel_tol=1e-6):
            kind, then = "endless workers", f"divide the tasks' seconds by {workers}"
        raise Decided(verdict(
            kind, f"{name}: of {of} the bound is another one.",
            f"{bound:.6g} on {workers} workers",
            f"{amdahl(serial, parallel, workers):.6g}, from {seconds(serial)} of the driver's work "
            f"and {seconds(parallel)} of tasks", then, BOUND,
        ))  # fmt: skip


def kind_of_frame(said, found):
    """Which mistake gives this frame, and what to do next."""
    tasks = of_tasks(found)
    frames = [each for root in tasks for _, each in root.walk()]
    in_tasks = {each.name for each in frames}
    if said == "get":
        return "waiting", "look only at what ran in tasks"
    if said not in in_tasks:
        return "in the driver", f"leave out the root {DRIVER!r}"
    if said == max(frames, key=lambda each: each.own).name:
        return "one path", "add up the own time of all frames with the same name"
    if any(each.name == said and each.children for each in frames):
        return "with callees", "compare own times, not totals"
    return "result", "print the own time of each name in the tasks"


def seconds(number):
    return f"{three_digits(number)} s"


HOT = "who works on another part than the hot one gains next to nothing"
BOUND = "who expects more than the bound allows buys processors for nothing"


def verdict(kind, failed, measured, expected, then, why=HOT):
    return not_yet(kind, failed, measured, expected, why, then)


LADDERS = {
    "waiting": Ladder(
        "What does the driver do while it is in get? Which process works in that time?",
        "Time in get is time of the tasks, seen from outside. It is neither a hot frame nor serial "
        "work; the work stands under the tasks' own roots (notebook 07).",
        "kitchen = next(root for root in found.roots if root.name == 'cook')\n"
        "print(kitchen.total)  # not what the waiter waited",
    ),
    "in the driver": Ladder(
        "Under which root does your frame stand, and how often does that root run?",
        "The root 'this process' is the driver. All other roots are tasks; more workers make only "
        "these faster (notebook 07).",
        "for root in found.roots:\n    print(root.name, root.calls, root.total)",
    ),
    "with callees": Ladder(
        "How much of your frame's time is its own, and how much is that of what it called?",
        "A wide bar may only be a caller. total holds all that it called, own does not "
        "(notebook 07).",
        "for depth, frame in found.roots[1].walk():\n    print(' ' * depth, frame.name, frame.own)",
    ),
    "one path": Ladder(
        "How many frames have the name of the hot one? Who calls each of them?",
        "A function that is called from two places has two frames. Its cost is their sum.",
        "spent = Counter()\nfor shop, euros in bills:\n    spent[shop] += euros",
    ),
    "serial part": Ladder(
        "What do the workers do while the driver makes the seeds?",
        "Amdahl: only the parallel part is divided by the workers. What the driver does alone "
        "takes as long as ever (notebook 06).",
        "# 10 minutes to write the list, 60 to shop, in 3 shops at once:\n"
        "print((10 + 60) / (10 + 60 / 3))",
    ),
    "endless workers": Ladder(
        "How long do the tasks take on so many workers? Which number in your formula says so?",
        "(serial + parallel) / serial is the bound for workers without end. With n of them the "
        "parallel part still takes its n-th part.",
        "# 10 minutes to write the list, 60 to shop, in 3 shops at once:\n"
        "print((10 + 60) / (10 + 60 / 3))",
    ),
    "result": Ladder(
        "Walk through the tree of a small profile. Which names, own times and totals do you see?",
        "The hot frame: the largest sum of own times in tasks. Serial: the total of the driver's "
        "root without get. Parallel: the totals of all other roots.",
        "for root in found.roots:\n    for depth, frame in root.walk():\n"
        "        print(' ' * depth, frame.name, frame.own, frame.total)",
    ),
}
