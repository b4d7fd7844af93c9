"""Runs the first program and the learner's as tasks, and compares the peaks that the kernel tells.

Each gets a worker of its own, so that neither finds memory that the other has left.
"""

import math
import random

import paralab
from paralab_profiling import profile
from paralab_profiling.details import byte_count
from paralab_profiling.exercises.calls import Decided, call, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet
from paralab_profiling.lessons.checking import CANNOT_JUDGE, Verdict
from paralab_profiling.memory.peaks import peak_of
from paralab_profiling.svg import percent

ANSWER = "spread"
COUNT = 200_000
HALF, HARDLY = 0.55, 0.9
"""Shares of the first program's peak: halved with some room, and as good as unchanged."""


def measure(seed, count):
    """Lengths in µm, one by one; the same as in the notebook."""
    rng = random.Random(seed)
    for _ in range(count):
        yield 10_000 + rng.random()


def first_program(seed, count):
    lengths = list(measure(seed, count))
    middle = sum(lengths) / count
    distances = [length - middle for length in lengths]
    squares = [distance * distance for distance in distances]
    return math.sqrt(sum(squares) / count)


def peak(function, seed):
    """What it returned, and the most memory that a task of it had: its own and in the store."""
    task = paralab.remote(max_calls=1)(function)
    with profile(tool="peak") as measured:
        result = call(lambda: paralab.get(task.remote(seed, COUNT)))
    rows = [peak_of(row) for row in measured.extra["peaks"]]
    return result, max((each.needed for each in rows), default=0)


@decides
def check(answer):
    name = name_of(answer)
    seed = random.randrange(1_000_000)
    try:
        expected, before = peak(first_program, seed)
    except ValueError as error:  # nobody tells the peak here
        rows = [("measured", str(error)), ("next", "try it on Linux")]
        return Verdict(CANNOT_JUDGE, "Cannot judge: the peak cannot be measured here.", rows)
    if before < COUNT * 50:
        rows = [("measured", f"{byte_count(before)} for the first program, which needs 19 MB")]
        return Verdict(CANNOT_JUDGE, "Cannot judge: the kernel's figures are off.", rows)
    result, after = peak(answer, seed)
    share = after / before
    if not (isinstance(result, float) and math.isclose(result, expected, rel_tol=1e-2)):
        kind, failed, then = "result", "another result", "call both with 10 lengths"
    elif not math.isclose(result, expected, rel_tol=1e-7):
        kind, failed, then = (
            "digits",
            "a result with few right digits",
            "subtract before you square",
        )
    else:
        kind = ""
    if kind:
        raise Decided(not_yet(
            kind,
            f"{name} gave {failed}.",
            repr(result)[:40],
            repr(expected),
            "less memory for a wrong number is no gain",
            then,
        ))  # fmt: skip
    if share > HALF:
        kind = "no change" if share > HARDLY else "not half"
        raise Decided(not_yet(
            kind,
            f"{name} needs {'as much memory as before' if share > HARDLY else 'more than half'}.",
            f"peak {byte_count(after)}, {percent(share)} of {byte_count(before)}",
            f"{percent(HALF)} or less",
            "the peak decides how many such tasks fit into the machine",
            "count how many lists there are in the moment when most are there",
        ))  # fmt: skip
    return passed(
        f"{name} needs {percent(share)} of the memory.",
        [("peak of the first program", byte_count(before)),
         ("peak of yours", f"{byte_count(after)} (expected {percent(HALF)} of that or less)")],
        "ten times the lengths. Which of the two peaks grows, and by how much?",
    )  # fmt: skip


LADDERS = {
    "no change": Ladder(
        "At which line is the most memory in use? Which lists are there in that moment?",
        "A peak is the highest moment, not the end. What you delete after it does not lower it.",
        "def total(rows):\n    prices = [row.price for row in rows]\n"
        "    del rows  # before the next list is made, not after\n"
        "    return sum(price * 1.19 for price in prices)",
    ),
    "not half": Ladder(
        "How many lists of all lengths are there at the peak now, and how many were there?",
        "A generator expression hands on one value at a time and keeps none: round brackets in "
        "place of square ones, inside sum.",
        "total = sum(row.price * 1.19 for row in rows)  # no list of prices",
    ),
    "digits": Ladder(
        "How large is the square of a length, and how many digits has a float?",
        "The difference of two large, nearly equal numbers has few right digits. Take the mean "
        "away first, then square.",
        "middle = sum(years) / len(years)\nprint(sum((year - middle) ** 2 for year in years))",
    ),
    "result": Ladder(
        "What do both programs give for the lengths 1, 2 and 3?",
        "The standard deviation: the root of the mean of the squared distances from the mean. All "
        "lengths belong to it.",
        "assert math.isclose(my_mean([1, 2, 3]), 2)",
    ),
}
