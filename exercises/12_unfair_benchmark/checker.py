"""Lets the answer measure on made-up machines, whose clock moves with the work alone.

So the true ratio is known, and whether an interval holds it can be counted over many machines.
"""

import itertools
import math
import random
import statistics

from paralab_profiling.exercises.calls import Decided, call, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet
from paralab_profiling.svg import percent, three_digits

ANSWER = "benchmark"
DATA = list(range(20))
MACHINES, HOLD = 100, 80
"""Of so many intervals of 95 % so many hold the ratio, with room for chance."""
FEWEST = 10
WIDEST = 0.3
"""Width of the interval as a share of the ratio; that of 20 pairs is about 0.1."""


class Machine:
    """Two functions and a clock. Each run has noise, and the machine slows down as it gets warm.

    Args:
        rng: gives the ratio and all noise.
        first: how many times longer the first call of each takes.
        is_quiet: without noise, busy moments and warmth.
    """

    def __init__(self, rng, first=20.0, is_quiet=False):
        # Far enough from 1 that nobody mistakes it for its inverse.
        self.ratio = rng.uniform(1.25, 3) if rng.random() < 0.5 else rng.uniform(0.4, 0.8)
        self.begun, self.ended, self.asked = [], [], 0
        self._rng, self._first, self._is_quiet, self._now = rng, first, is_quiet, 100.0

    def clock(self):
        self.asked += 1
        return self._now

    def old(self, data):
        return list(self._run("old", 0.02 * self.ratio, data))

    def new(self, data):
        self._now += 1e-6
        return self._run("new", 0.02, data)

    def _run(self, name, seconds, data):
        seconds *= 1.0 if name in self.begun else self._first
        if not self._is_quiet:
            seconds *= (1 + len(self.begun) / 60) * math.exp(self._rng.gauss(0, 0.05))
            seconds *= 8 if self._rng.random() < 1 / 12 else 1
        self.begun.append(name)
        for item in data:
            self._now += seconds / len(data)
            yield item * item
        self.ended.append(name)


def measured(answer, machine):
    """The answer's three numbers.

    Raises:
        Decided: it gave something else.
    """
    result = call(answer, machine.old, machine.new, list(DATA), machine.clock)
    try:
        ratio, low, high = map(float, result)
        right = 0 < low <= ratio <= high < math.inf
    except (TypeError, ValueError):
        right = False
    if not right:
        raise Decided(verdict(
            "result", "gave something else than a ratio and an interval around it", answer,
            " ".join(repr(result)[:60].split()),
            "(ratio, low, high), with 0 < low <= ratio <= high",
            "return three numbers in this order",
        ))  # fmt: skip
    return ratio, low, high


def verdict(kind, failed, answer, found, expected, then):
    why = "a benchmark is for a decision; an unfair one decides wrongly"
    return not_yet(kind, f"{name_of(answer)} {failed}.", found, expected, why, then)


@decides
def check(answer):
    rng = random.Random()
    machine = Machine(rng)
    _, low, high = measured(answer, machine)
    what_was_called(answer, machine)
    for first in (1.0, 20.0):
        quiet = Machine(rng, first, is_quiet=True)
        ratio, *_ = measured(answer, quiet)
        if not math.isclose(ratio, quiet.ratio, rel_tol=1e-3):
            shown = three_digits(ratio), three_digits(quiet.ratio)
            if first > 1:
                raise Decided(verdict(
                    "first call", "lets the first call count", answer,
                    f"{shown[0]} where each first call took {first:g} times longer",
                    f"{shown[1]}, as without that",
                    "call both once before the clock runs",
                ))  # fmt: skip
            raise Decided(verdict(
                "ratio", "gave another ratio on a machine without any noise", answer,
                shown[0], f"{shown[1]}: the time of old divided by that of new",
                "write down what the clock tells before and after each call",
            ))  # fmt: skip
    if low == high:
        raise Decided(verdict(
            "no interval", "gave an interval without width", answer,
            three_digits(low), "two different ends",
            "keep the ratio of each pair of runs, and look at how they scatter",
        ))  # fmt: skip
    how_the_runs_are_ordered(answer, machine)
    held, widths = 0, []
    for _ in range(MACHINES):
        machine = Machine(rng)
        ratio, low, high = measured(answer, machine)
        held += low <= machine.ratio <= high
        widths.append((high - low) / ratio)
    width = statistics.median(widths)
    if held < HOLD:
        raise Decided(verdict(
            "misses", "gives intervals that do not hold the ratio", answer,
            f"{held} of {MACHINES} intervals hold it; they are {percent(width)} of the ratio wide",
            f"{HOLD} or more of {MACHINES}: an interval of 95 % holds it in 95 of 100 benchmarks",
            "make the ends from how the ratios scatter",
        ))  # fmt: skip
    if width > WIDEST:
        raise Decided(verdict(
            "too wide", "gives an interval that says too little", answer,
            f"{percent(width)} of the ratio, the median of {MACHINES} benchmarks",
            f"{percent(WIDEST)} or less",
            "see what one run beside somebody else's job does to your interval",
        ))  # fmt: skip
    runs = min(machine.ended.count("old"), machine.ended.count("new"))
    return passed(
        f"{name_of(answer)} held the true ratio in {held} of {MACHINES} benchmarks.",
        [("runs of each", str(runs)),
         ("width of the interval",
          f"{percent(width)} of the ratio (expected {percent(WIDEST)} or less)")],
        "four times the runs. How much narrower does the interval get?",
    )  # fmt: skip


def what_was_called(answer, machine):
    """Nothing if both were run to their end, often enough, by the machine's clock.

    Raises:
        Decided: they were not.
    """
    if not machine.asked:
        raise Decided(verdict(
            "another clock", "does not ask the clock that it is given", answer,
            "0 calls of clock", "2 or more for each run",
            "call clock() before and after each run",
        ))  # fmt: skip
    called = machine.begun.count("old"), machine.begun.count("new")
    ended = machine.ended.count("old"), machine.ended.count("new")
    if not ended[1] or ended[1] < called[1]:
        raise Decided(verdict(
            "nothing done", "stops the clock before new has done anything", answer,
            f"new was run to its end {ended[1]} times, old {ended[0]} times",
            "all runs to their end",
            "take all results out of what new returns, while the clock runs",
        ))  # fmt: skip
    if min(ended) < FEWEST:
        raise Decided(verdict(
            "too few", "runs them too seldom to know how far to trust the ratio", answer,
            f"runs of old: {ended[0]}, of new: {ended[1]}", f"{FEWEST} or more each",
            "repeat both, and keep all times",
        ))  # fmt: skip


def how_the_runs_are_ordered(answer, machine):
    """Nothing if old and new take turns.

    Raises:
        Decided: they do not.
    """
    order = machine.begun
    changes = sum(one != other for one, other in itertools.pairwise(order))
    if changes < len(order) / 4:
        raise Decided(verdict(
            "in blocks", "runs all of one before all of the other", answer,
            f"{changes} changes between old and new in {len(order)} runs",
            f"{math.ceil(len(order) / 4)} or more",
            "run them in pairs, one after the other",
        ))  # fmt: skip


LADDERS = {
    "nothing done": Ladder(
        "How many tasks ran while the clock did? What is the type of what new returned?",
        "A generator does nothing before its items are taken, and remote only starts a task. A "
        "benchmark ends when the result is there (notebook 01).",
        "start = clock()\nlines = list(read_lines(path))  # read_lines is a generator\n"
        "seconds = clock() - start",
    ),
    "too few": Ladder(
        "Run your benchmark three times. Is the ratio the same? Which of the three is right?",
        "One run is one draw from many. How far a ratio can be trusted is seen only from how "
        "repeated runs scatter (notebook 06).",
        "times = []\nfor _ in range(30):\n    start = clock()\n    save(picture)\n"
        "    times.append(clock() - start)",
    ),
    "first call": Ladder(
        "How long did the first run of each take, and how long the second?",
        "The first call starts workers, imports modules and fills caches. Either all of that is "
        "the question, or it stays out: call both once before (notebook 06).",
        "save(picture)  # not timed\ntimes = [seconds_of(save, picture) for _ in range(30)]",
    ),
    "no interval": Ladder(
        "Which two numbers do you return as the ends, and what would they be if the runs "
        "scattered twice as much?",
        "Each pair of runs gives a ratio. Sort them: the true one is most likely between those in "
        "the middle.",
        "weights = sorted(weigh(stone) for _ in range(20))\n"
        "print(weights[5], weights[-6])  # in 96 of 100 cases the median is between them",
    ),
    "in blocks": Ladder(
        "The machine slows down while you measure. Whose runs are slower for that reason?",
        "What changes slowly, such as heat or other people's jobs, hits both alike if they take "
        "turns. Then the two runs of a pair can be compared.",
        "for _ in range(20):\n    tea.append(seconds_of(boil_tea))\n"
        "    soup.append(seconds_of(boil_soup))",
    ),
    "misses": Ladder(
        "Would your interval get wider if the runs scattered more? What makes its width?",
        "An interval of 95 % comes from the scatter: of 20 sorted values the sixth from below and "
        "the sixth from above hold the median in 96 of 100 cases, whatever the scatter looks like.",
        "weights = sorted(weigh(stone) for _ in range(20))\n"
        "print(weights[5], statistics.median(weights), weights[-6])",
    ),
    "too wide": Ladder(
        "Take one ratio that is 8 times too large. What does it do to the mean, to the largest, to "
        "the standard deviation, and to the median?",
        "Ends made from the extremes, or from the standard deviation, are moved by a single run "
        "beside somebody else's job. Ranks near the middle are not.",
        "weights = sorted(weigh(stone) for _ in range(20))\n"
        "print(weights[5], statistics.median(weights), weights[-6])",
    ),
    "another clock": Ladder(
        "Which function tells your benchmark the time, and which one is among its parameters?",
        "A clock as a parameter can be replaced, in a test by one that nobody has to wait for.",
        "def seconds_of(function, clock):\n    start = clock()\n    function()\n"
        "    return clock() - start",
    ),
    "ratio": Ladder(
        "old takes 6 s and new 2 s. How many times faster is new, and what would your function "
        "return?",
        "How many times faster: the time of old divided by the time of new, with nothing else "
        "inside either time.",
        "def times_faster(slow_seconds, fast_seconds):\n    return slow_seconds / fast_seconds",
    ),
    "result": Ladder(
        "How many numbers do you return, and is the first one between the other two?",
        "The ratio, and the two ends of an interval that holds it.",
        "return middle, lower_end, upper_end",
    ),
}  # fmt: skip
