"""Gives the forecast made-up profiles, whose right answer is exact, and one just measured."""

import math
import random

import paralab
from paralab_profiling import Frame, Profile, profile
from paralab_profiling.exercises.calls import Decided, call, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet
from paralab_profiling.profilers.result import Function
from paralab_profiling.svg import duration, three_digits

ANSWER = "forecast"
ROWS = 3_000
"""Of the program that is measured; three small calls for each."""


def made_up(rng):
    """A profile that counts and one that samples, of one program, with the costs of both."""
    tasks, rows = rng.randrange(3, 9), rng.randrange(20_000, 60_000)
    alone = rng.uniform(0.5, 1.5)
    counts = {"report": tasks, "field": 3 * rows, "price": rows, "dict.get": 2 * rows}
    functions = tuple(
        Function(name, "report.py", 7 * line, calls, calls - calls // 5, 0.1, 0.2)
        for line, (name, calls) in enumerate(counts.items(), start=1)
    )
    found = []
    for tool, known in (("cprofile", functions), ("pyinstrument", ())):
        cost = rng.uniform(2.0, 5.0) if known else rng.uniform(1.1, 1.8)
        root = Frame("report", "report.py", 7, alone * cost, alone * cost, tasks, (), "task")
        found.append(Profile(tool, "s", (root,), seconds=alone * cost, functions=known, cost=cost))
    return found


def just_measured(rng):
    """The same of a program that has run; the sampler's part is made up."""

    @paralab.remote
    def report(rows):
        def field(row, place):
            return row[place]

        return sum(field(row, 0) * field(row, 1) + field(row, 2) for row in rows)

    rows = paralab.put([(1, 2, 3)] * ROWS)
    measured = profile(tool="cprofile").run(lambda: paralab.get(report.remote(rows)), pairs=1)
    return [measured.result, made_up(rng)[1]]


def all_calls(counted):
    return sum(each.calls for each in counted.functions)


def added(measured):
    """Seconds that the tool added."""
    return measured.seconds - measured.seconds / measured.cost


def right(counted, sampled, seconds, calls):
    return [seconds + calls * added(each) / all_calls(counted) for each in (counted, sampled)]


def mistakes(counted, sampled, seconds, calls):
    """What known mistakes would give, by their kind."""
    both, here = (counted, sampled), all_calls(counted)
    largest = max(each.calls for each in counted.functions)
    primitive = sum(each.primitive for each in counted.functions)
    tasks = sum(counted.tasks.values())
    yield "a factor", [seconds * each.cost for each in both]
    for kind, number in (("some calls", largest), ("some calls", primitive), ("tasks", tasks)):
        yield kind, [seconds + calls * added(each) / number for each in both]
    yield "whole time", [seconds + calls * each.seconds / here for each in both]
    yield "seconds with", [seconds + calls * each.seconds * (each.cost - 1) / here for each in both]
    yield "only added", [calls * added(each) / here for each in both]
    yield "only the ratio", [each.cost for each in both]


SAID = {
    "a factor": ("the cost is taken for a factor that the tool has.",
                 "its time alone, times the cost",
                 "ask what the tool does more often in one program"),
    "some calls": ("not all calls are counted.", "divided by a part of the calls",
                   "add up the calls of all functions, repeated ones too"),
    "tasks": ("tasks are taken for calls.", "divided by the number of tasks",
              "look at what calls of a root are, and what calls of a function are"),
    "whole time": ("the program's own time is charged to the tool.",
                   "divided all the time by the calls",
                   "subtract what the program takes without the tool"),
    "seconds with": ("the tool's cost is counted twice.",
                     "took the seconds for those without the tool",
                     "read what Profile.seconds includes"),
    "only added": ("the program's own time is missing.", "only what the tool adds",
                   "add the seconds that the program takes alone"),
    "only the ratio": ("a ratio is given and no time.", "the cost of the measured program",
                       "make seconds of it for the other program"),
}  # fmt: skip


def is_near(one, other):
    return all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(one, other, strict=True))


def compare(name, answer, counted, sampled, seconds, calls):
    """Holds one answer against the right one."""
    arguments = counted, sampled, seconds, calls
    result = call(lambda: answer(*arguments))
    expected = right(*arguments)
    program = f"a program of {duration(seconds)} and {calls:,} calls"
    wanted = " and ".join(map(duration, expected))
    why = "who knows the price of a call knows beforehand which programs a tool spoils"

    def say(kind, failed, measured, then):
        raise Decided(
            not_yet(kind, f"{name}: {failed}", measured, f"{program}: {wanted}", why, then)
        )

    if not is_pair(result):
        say("result", "the result is not a pair of times in seconds.",
            " ".join(repr(result)[:60].split()),
            "return the seconds under cProfile, and the seconds under the sampler")  # fmt: skip
    shown = " and ".join(f"{three_digits(each)} s" for each in result)
    if is_near(result, expected):
        return
    for kind, figures in mistakes(*arguments):
        if is_near(result, figures):
            failed, how, then = SAID[kind]
            say(kind, failed, f"{shown}: {how}", then)
    say("result", "the times are others.", shown, "take a program of 0 s and one call, by hand")


def is_pair(result):
    return (
        isinstance(result, (tuple, list))
        and len(result) == 2
        and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in result)
    )


@decides
def check(answer):
    name, rng = name_of(answer), random.Random()
    compare(name, answer, *made_up(rng), rng.uniform(1, 3), rng.randrange(10_000, 30_000))
    compare(name, answer, *made_up(rng), rng.uniform(1, 3), 10_000_000)
    counted, sampled = just_measured(rng)
    compare(name, answer, counted, sampled, 2.0, 1_000_000)
    calls = all_calls(counted)
    return passed(
        f"{name} knows the price of a call.",
        [("calls that cProfile counted", f"{calls:,}"),
         ("cost of that, measured now", f"{three_digits(counted.cost)} times the time without"),
         ("price of a call, measured now", duration(max(0.0, added(counted)) / calls))],
        "a program whose functions each take 1 s. Which of the two tools would you take, and why?",
    )  # fmt: skip


LADDERS = {
    "a factor": Ladder(
        "Two programs take the same time, one with ten calls and one with a million. Which costs "
        "are in your notebook for these two?",
        "cProfile does a little work at every call and every return, and none in between. So it "
        "adds a price for each call, not a share of the time.",
        "# a toll for each car, whatever it carries\nprice = tolls_paid / cars\n"
        "print(fuel + price * cars_next_year)",
    ),
    "some calls": Ladder(
        "How many functions does the profile know? Which of their calls are in your sum?",
        "Each call pays the price: those of small functions, of built-in ones, and of a function "
        "by itself. 'calls' has them all, 'primitive' leaves the last kind out.",
        "cars = sum(road.cars for road in roads)",
    ),
    "tasks": Ladder(
        "What is the number that you divide by? How often was the smallest function called?",
        "A root of a profile stands for a task, and its calls are tasks. The calls within stand in "
        "'functions', one entry for each function.",
        "cars = sum(road.cars for road in map_.roads)  # not map_.towns",
    ),
    "whole time": Ladder(
        "What would the program take without any tool? Is that part of your price?",
        "The cost is the time with the tool divided by the time without. From the time with and "
        "this ratio follows the time without.",
        "gross, ratio = 119.0, 1.19\ntax = gross - gross / ratio",
    ),
    "seconds with": Ladder(
        "Is 'seconds' of a profile the time with the tool or without?",
        "The tasks ran under the tool when their seconds were measured. Divide by the cost to get "
        "the time without.",
        "gross, ratio = 119.0, 1.19\ntax = gross - gross / ratio  # not gross * 0.19",
    ),
    "only added": Ladder(
        "What does your function give for a program that makes no calls and takes 2 s?",
        "The program takes its own time as well; the tool's comes on top.",
        "print(fuel + price * cars)",
    ),
    "only the ratio": Ladder(
        "What is the unit of your result? Does it change when 'calls' changes?",
        "The cost belongs to the program that was measured. Only the price of a call can be "
        "carried over to another one.",
        "price = tolls_paid / cars\nprint(fuel + price * cars_next_year)",
    ),
    "result": Ladder(
        "A program takes 1 s, under the tool 3 s, and makes 1,000,000 calls. What did each add?",
        "First the seconds that the tool added, then divided by all calls, then times the calls of "
        "the other program.",
        "tax = gross - gross / ratio\nassert math.isclose(tax, 19)",
    ),
}
