"""Gives the benchmark a sort that counts and a clock that only counting moves on.

The clock goes on by one for each comparison and for each element that is copied, so what was
between two looks at it is known exactly, on every machine.
"""

import random

from paralab_profiling.exercises.calls import Decided, call, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet

ANSWER = "benchmark"
SIZE, RUNS = 1_000, 5


class Laboratory:
    """Data, a sort and a clock that belong together.

    Attributes:
        now: what the clock shows.
        calls: of each call of the sort what the list was like, and its comparisons.
    """

    def __init__(self, rng):
        self.now, self.calls = 0, []
        lab = self

        class Item:
            __slots__ = ("value",)

            def __init__(self, value):
                self.value = value

            def __lt__(self, other):
                lab.now += 1
                return self.value < other.value

        class Data(list):
            """Notices whoever reads it or writes to it."""

            def __iter__(self):
                for item in super().__iter__():
                    lab.now += 1
                    yield item

            def __getitem__(self, where):
                found = super().__getitem__(where)
                lab.now += len(found) if isinstance(where, slice) else 1
                return found

            def __setitem__(self, where, what):
                before = lab.now
                super().__setitem__(where, what)
                lab.now = before + (len(what) if isinstance(where, slice) else 1)

            def __add__(self, other):
                return [*self, *other]

            def copy(self):
                return [*self]

        # All different, so that there is one right order.
        self.order = rng.sample(range(10 * SIZE), SIZE)
        self.data = Data(map(Item, self.order))

    def order_of(self, items):
        return [item.value for item in list.__iter__(items)]

    def sort(self, items):
        """Sorts a list in place."""
        order, before = self.order_of(items), self.now
        items.sort()
        is_sorted = order == sorted(order)
        state = "given" if order == self.order else "sorted" if is_sorted else "other"
        self.calls.append((state, self.now - before))

    def clock(self):
        return self.now


def listed(figures):
    """The first few, as text."""
    more = ", …" if len(figures) > RUNS else ""
    return ", ".join(f"{figure:,}" for figure in figures[:RUNS]) + more


@decides
def check(answer):
    name = name_of(answer)
    seed = random.randrange(1_000_000)
    first = Laboratory(random.Random(seed))
    first.sort(first.data)
    needed = first.calls[0][1]
    lab = Laboratory(random.Random(seed))
    result = call(answer, lab.sort, lab.data, RUNS, lab.clock)
    found = [comparisons for _, comparisons in lab.calls]
    states = [state for state, _ in lab.calls]

    def say(kind, failed, measured, expected, why, then):
        raise Decided(not_yet(kind, f"{name}: {failed}", measured, expected, why, then))

    if not is_whole(result):
        say(
            "result",
            f"the result is not a list of {RUNS} times.",
            " ".join(repr(result)[:60].split()),
            f"a list of {RUNS} times, one for each run",
            "a single number hides that the runs differ",
            "return the list of all times",
        )
    if len(found) < RUNS:
        say(
            "calls",
            "sort was not called for each run.",
            f"{len(found)} calls of the sort that was given",
            f"{RUNS} calls",
            "what did not run was not measured",
            "call sort(...) once for each run",
        )
    if "sorted" in states:
        say(
            "sorted already",
            "all but the first run sorted a list that was in order."
            if states[0] == "given" and states.count("sorted") == len(states) - 1
            else f"{states.count('sorted')} of {len(states)} runs sorted a list that was in order.",
            f"comparisons in the runs: {listed(found)}",
            f"{needed:,} in each",
            f"a list in order needs {SIZE - 1:,} comparisons, and who measures that measures "
            "another problem",
            "say what the list looks like when run 2 begins",
        )
    if "other" in states:
        say(
            "other order",
            "the runs did not sort the list that was given.",
            f"{states.count('other')} of {len(states)} runs had its elements in another order",
            "0",
            "times of different inputs differ because of the inputs",
            "give each run the same list, in the order that it came in",
        )
    if lab.order_of(lab.data) != lab.order:
        say(
            "data changed",
            "the data of whoever called it are in another order now.",
            "data after the benchmark: sorted, or shuffled",
            "as they were before",
            "what is measured next with these data is measured on others",
            "sort something else than data",
        )
    if any(value != needed for value in result):
        shown = listed(result)
        expected = f"{needed:,} for each run: the clock moves by one for each comparison"
        if len(set(result)) == 1 and result[0] > needed:
            say(
                "copy timed",
                "the clock ran while elements were copied.",
                f"{result[0]:,} by the clock, {needed:,} of them comparisons",
                expected,
                "the time of a copy is no time of the sort",
                "do all that is not sorting before you look at the clock",
            )
        say(
            "clock",
            "the times are not those between two looks at the clock.",
            f"times: {shown}",
            expected,
            "a time is a difference: the clock after the sort, less the clock before it",
            "look at the clock right before and right after each call of sort",
        )
    return passed(
        f"each of {RUNS} runs sorted the same shuffled list, and the clock saw only that.",
        [("comparisons in each run", f"{needed:,} (expected {needed:,})"),
         ("comparisons of a list in order", f"{SIZE - 1:,}"),
         ("copies while the clock ran", "0 (expected 0)")],
        "reversed data. Predict the comparisons first.",
    )  # fmt: skip


def is_whole(result):
    """Whether it is a list with a number for each run."""
    return (
        isinstance(result, (list, tuple))
        and len(result) == RUNS
        and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in result)
    )


LADDERS = {
    "sorted already": Ladder(
        "How many comparisons did run 1 need, and how many run 2? What had happened to the list "
        "in between?",
        "list.sort changes the list itself. A run that changes its own input leaves the next one "
        "another problem, so each run needs an input of its own.",
        "for _ in range(5):\n    queue = deque(letters)  # full again\n    start = clock()\n"
        "    empty(queue)\n    seconds.append(clock() - start)",
    ),
    "other order": Ladder(
        "Which elements stand at the beginning of the list in run 1 and in run 2?",
        "One thing may differ between two measurements: that which you compare. A copy keeps the "
        "order; a shuffle makes another input.",
        "for _ in range(5):\n    queue = deque(letters)  # the same letters in the same order",
    ),
    "data changed": Ladder(
        "What does print(data[:5]) show before and after your benchmark?",
        "The list belongs to whoever calls. Put back in order or not: work on a copy, and leave "
        "the original alone.",
        "mine = letters.copy()\nempty(mine)\nassert letters  # still there",
    ),
    "copy timed": Ladder(
        "Which lines stand between your two looks at the clock? Which of them sort?",
        "Between start and end stands only what you want to know. Set-up goes before the start. "
        "The option -n1 of %timeit, with a set-up line after %%timeit, does this too.",
        "queue = deque(letters)\nstart = clock()  # after the set-up\nempty(queue)\n"
        "seconds.append(clock() - start)",
    ),
    "clock": Ladder(
        "Is each time larger than the one before? Or much smaller than 1? Which clock is it from, "
        "and since when?",
        "The check hands over a clock of its own. Each run needs two looks at it, one right before "
        "and one right after.",
        "start = clock()\nread(page)\nseconds.append(clock() - start)",
    ),
    "calls": Ladder(
        "How often is the argument sort called in your function? What is called instead?",
        "A benchmark calls what it is given. sorted() is another function, and dividing one time "
        "by the number of runs is no measurement of each.",
        "def times_of(read, pages):\n    return [time_of(read, page) for page in pages]",
    ),
    "result": Ladder(
        "How long is the list that you return, and what is in it?",
        "Keep one time for each run. The first, the smallest and the mean can be told from them; "
        "the other way round it cannot be done.",
        "seconds = []\nfor page in pages:\n    seconds.append(time_of(page))\nreturn seconds",
    ),
}
