"""Gives made-up runs to the answer, whose right result is exact, and one that was just measured."""

import math
import random

import paralab
from paralab_profiling import Recording, Task
from paralab_profiling.exercises.calls import Decided, call, called, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet
from paralab_profiling.recording import PARTS, STAMPS
from paralab_profiling.svg import percent

ANSWER = "take_apart"
OVERHEAD = [part for part in PARTS if part != "run"]
SLOW = {"look_up": "unpickle", "tally": "queue", "render": "fetch", "resize": "pickle"}
"""Functions of the made-up run, and the part that is widest in most of their tasks."""


def made_up(rng):
    """A run in which each function has another widest part, and one task that has not ended."""
    tasks, begin = [], 10**9
    for name, widest in SLOW.items():
        for number in range(rng.randrange(6, 10)):
            begin += rng.randrange(1_000, 90_000)
            # The function itself takes most, and a single task with a wide queue is no rule.
            lengths = {part: rng.randrange(10_000, 60_000) for part in PARTS}
            lengths["run"] = rng.randrange(2_000_000, 3_000_000)
            lengths[widest] = rng.randrange(300_000, 900_000)
            other = next(part for part in OVERHEAD if part != widest)
            if number == 0:
                lengths[widest], lengths[other] = 20_000, 400_000
            tasks.append(task_of(f"{name}.{number}", name, begin, lengths))
    tasks.append(unfinished("look_up.99", "look_up", begin + 1_000))
    return Recording(tuple(tasks), 2)


def task_of(id_, name, begin, lengths):
    stamps, at = {"submitted": begin}, begin
    for part, (_, end) in PARTS.items():
        at += lengths[part]
        stamps[end] = at
    # Stamps inside a part, which no part begins or ends with.
    for number, stamp in enumerate(STAMPS):
        if stamp not in stamps:
            before = max(stamps[s] for s in STAMPS[:number] if s in stamps)
            stamps[stamp] = before
    return Task(id_, name, "task", 1, 2, None, (), 0, False, 100, 100, 0, stamps)


def unfinished(id_, name, begin):
    stamps = {"submitted": begin, "pickled": begin + 5_000, "packed": begin + 9_000_000}
    return Task(id_, name, "task", 1, 0, None, (), 0, False, 0, 0, 0, stamps, "queued")


def right(run):
    """By function: the widest part besides the run, and its share of all parts."""
    found = {}
    for name in {task.name for task in run if task.ran}:
        tasks = [task for task in run if task.name == name and task.ran]
        sums = {part: sum(task.part_ns(part) for task in tasks) for part in PARTS}
        widest = max(OVERHEAD, key=sums.__getitem__)
        found[name] = widest, sums[widest] / sum(sums.values())
    return found


def mean_of_shares(run):
    found = {}
    for name, (part, _) in right(run).items():
        tasks = [task for task in run if task.name == name and task.ran]
        shares = [task.part_ns(part) / sum(task.parts_ns().values()) for task in tasks]
        found[name] = sum(shares) / len(shares)
    return found


def share_of_overhead(run):
    found = {}
    for name, (part, _) in right(run).items():
        tasks = [task for task in run if task.name == name and task.ran]
        sums = {each: sum(task.part_ns(each) for task in tasks) for each in OVERHEAD}
        found[name] = sums[part] / sum(sums.values())
    return found


def with_unfinished(run):
    tasks = [task for task in run if task.name == "look_up"]
    sums = {part: sum(task.part_ns(part) for task in tasks) for part in PARTS}
    return max(OVERHEAD, key=sums.__getitem__)


def is_near(one, other):
    return math.isclose(one, other, rel_tol=1e-6)


@decides
def check(answer):
    name = name_of(answer)
    run = made_up(random.Random())
    expected = right(run)
    compare(name, call(answer, run), expected, run)

    @paralab.remote
    def letters(text):
        return sorted(text)

    texts = ["the quick brown fox" * number for number in range(1, 25)]
    _, measured = called(lambda: paralab.get([letters.remote(text) for text in texts]))
    compare(name, call(answer, measured), right(measured), measured)
    part, share = right(measured)["letters"]
    return passed(
        f"{name} finds the widest part of every function.",
        [(function, f"{part}, {percent(share)} of its time (made up)")
         for function, (part, share) in sorted(expected.items())]
        + [("letters, 24 tasks that ran just now", f"{part}, {percent(share)} of their time")],
        "take_apart on a run of your own. Which part would larger tasks make narrower?",
    )  # fmt: skip


def compare(name, result, expected, run):
    """Nothing if the result is right.

    Raises:
        Decided: it is not.
    """
    try:
        found = {str(each): (str(part), float(share)) for each, (part, share) in result.items()}
    except (AttributeError, TypeError, ValueError):
        raise Decided(verdict(
            "result", f"{name}(run) gave something else than {{function: (part, share)}}.",
            " ".join(repr(result)[:60].split()), "such as {'price': ('queue', 0.4)}",
            "return a dict with a name and a number for each function",
        )) from None  # fmt: skip
    ran = sorted(function for function, (part, _) in found.items() if part == "run")
    if ran:
        raise Decided(verdict(
            "run counted", f"{name}: the run is the work, and no overhead.",
            f"{ran[0]}: run", "one of the other seven parts",
            "leave the run out where you look for the widest part",
        ))  # fmt: skip
    for function, (part, share) in sorted(expected.items()):
        if function not in found:
            raise Decided(verdict(
                "result", f"{name}: a function is missing.", f"no {function!r}",
                ", ".join(sorted(expected)), "go through all tasks, and group them by name",
            ))  # fmt: skip
        said, number = found[function]
        if said != part:
            tasks = [task for task in run if task.name == function]
            first = max(OVERHEAD, key=tasks[0].part_ns)
            if said == first:
                kind, then = "one task", "add up all tasks of the function"
            elif function == "look_up" and said == with_unfinished(run):
                kind, then = "unfinished", "take only tasks with task.ran"
            else:
                kind, then = "result", "print the sums of all parts for this function"
            raise Decided(verdict(
                kind, f"{name}: another part is wider.", f"{function}: {said}",
                f"{function}: {part}", then,
            ))  # fmt: skip
        if not is_near(number, share):
            kind, then = "result", "compute part and whole of one function by hand"
            if is_near(number, share_of_overhead(run)[function]):
                kind, then = "share of overhead", "divide by all eight parts, the run included"
            elif is_near(number, mean_of_shares(run)[function]):
                kind, then = "mean of shares", "add up first, and divide once"
            raise Decided(verdict(
                kind, f"{name}: the share is another one.", f"{function}: {said}, {number:.4f}",
                f"{function}: {part}, {share:.4f}", then,
            ))  # fmt: skip


def verdict(kind, failed, measured, expected, then):
    why = "who cuts the wrong part works for nothing"
    return not_yet(kind, failed, measured, expected, why, then)


LADDERS = {
    "run counted": Ladder(
        "Which of the eight parts is your own function's time? Would you like it to be gone?",
        "Overhead is everything between .remote() and get except the run (notebook 06).",
        "costs = {'rent': 700, 'food': 300, 'post': 20}\n"
        "besides_rent = {name: cost for name, cost in costs.items() if name != 'rent'}",
    ),
    "share of overhead": Ladder(
        "Your share is too large. By what did you divide: by all that the task took?",
        "A share of the whole tells what there is to gain: half of a tenth is little.",
        "whole = sum(costs.values())\nprint(costs['post'] / whole)",
    ),
    "mean of shares": Ladder(
        "A task of 1 ms and one of 1 s: do they count the same in your share?",
        "The mean of shares gives short tasks as much weight as long ones. Time is what is lost, "
        "so add times.",
        "print(sum(each.rent for each in homes) / sum(each.cost for each in homes))",
    ),
    "one task": Ladder(
        "From how many tasks does your part come? Print the widest part of each.",
        "The first call of a function pays for what later ones do not: a worker starts, the "
        "function is sent. Add up all calls.",
        "total = sum(each.rent for each in homes)",
    ),
    "unfinished": Ladder(
        "Which task has no end? How long is its queue, and how long will it be?",
        "A recording holds tasks that still wait. Their parts are not known yet: "
        "task.ran is False.",
        "paid = [each for each in bills if each.is_paid]",
    ),
    "result": Ladder(
        "Take one function and one part: what is the sum over its tasks, by hand and by program?",
        "Group the tasks by name, add up each part, choose the widest but the run, divide by all.",
        "sums = {}\nfor bill in bills:\n    sums[bill.shop] = sums.get(bill.shop, 0) + bill.cost",
    ),
}
