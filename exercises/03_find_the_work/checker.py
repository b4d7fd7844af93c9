"""Writes a program whose work is spread over tasks, and asks where it is.

One function takes most of all time, though another one takes most of the tasks that are most
numerous.  The names are new each time, and the numbers of tasks.

A program that others keep from computing takes its time anywhere.  So an answer that names the
wrong one of the two is asked again, with other programs, and the mistake is one if it is made each
time.
"""

import random

from paralab.shown_text import shown_name
from paralab_profiling.exercises.calls import Decided, call, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet
from paralab_profiling.svg import percent

ANSWER = "find_work"
ATTEMPTS = 3
"""Programs in which an answer has to name the same wrong function."""
UNIT = 12_000
"""Turns of a loop: less than a millisecond."""
WORDS = ["wash", "sift", "press", "bake", "weigh", "stamp", "pack", "label", "sort_out", "polish"]
SOURCE = """
import paralab

def LITTLE(number):
    return number % 7

def BUSY(number):
    for i in range(5 * UNIT):
        number = (number * 31 + i) % 1_000_003
    return number

def SHARED(number, units):
    for i in range(units * UNIT):
        number = (number * 31 + i) % 1_000_003
    return number

@paralab.remote
def MANY(number):
    return SHARED(BUSY(number), 1)
"""
TASK = """
@paralab.remote
def {name}(number):
    return SHARED(sum(LITTLE(each) for each in range(100)) + number, 6)
"""
PARENT = """
@paralab.remote
def PARENT(count):
    return sum(paralab.get([{name}.remote(number) for number in range(count)]))

def program():
    refs = [MANY.remote(number) for number in range({many})]
    refs += [each.remote(number) for each in ({others}) for number in range({count})]
    return sum(paralab.get([*refs, PARENT.remote({count})]))
"""


class Program:
    """What is profiled, and what is known of it.

    Attributes:
        run: submits all tasks and waits for them.
        tasks: how many run, those included that a task submits.
        functions: names of those that run in workers and are no tasks.
        names: of the tasks.
        turns: of the loop in each function that has one, in units.
        work, busy, little: names: takes most of all, most of the most frequent task, no time.
    """

    def __init__(self, rng):
        names = rng.sample(WORDS, 8)
        self.work, self.busy, self.little, many, parent, *others = names
        self.functions, self.names = names[:3], names[3:]
        self.count, self.many = rng.randrange(5, 7), 7
        self.tasks = self.many + self.count * len(others) + 1
        self.turns = {self.busy: 5 * self.many}
        self.turns[self.work] = self.many + 6 * self.count * len(others)
        source = SOURCE + "".join(TASK.format(name=name) for name in others)
        source += PARENT.format(
            name=others[-1], many=self.many, others="".join(f"{o}, " for o in others[:-1]),
            count=self.count,
        )  # fmt: skip
        for known, name in {"LITTLE": self.little, "BUSY": self.busy, "SHARED": self.work,
                            "MANY": many, "PARENT": parent, "UNIT": str(UNIT)}.items():  # fmt: skip
            source = source.replace(known, name)
        space = {"__name__": "bakery"}
        exec(compile(source, "bakery.py", "exec"), space)  # noqa: S102  # our own, above
        self.run = space["program"]


@decides
def check(answer):
    name = name_of(answer)
    for _ in range(ATTEMPTS):
        program = Program(random.Random())
        result = call(answer, program.run)
        if not is_pair(result) or result[0] != program.busy:
            break

    def say(kind, failed, measured, expected, why, then):
        raise Decided(not_yet(kind, f"{name}: {failed}", measured, expected, why, then))

    if not is_pair(result):
        say("result", "the result is not a name and a number of tasks.",
            " ".join(repr(result)[:60].split()), "such as ('wash', 12)",
            "only what has this form can be compared",
            "return the function's name, and how many tasks were profiled")  # fmt: skip
    said, tasks = result
    expected = f"{program.work}, {share(program, program.work)} of the work of all tasks"
    why = "who makes another function faster gains little, however hard it was"
    if said == program.little:
        say("calls", "it is the function that is called most often.",
            f"{said}, {share(program, said)} of the work of all tasks", expected, why,
            "ask for seconds, not for calls")  # fmt: skip
    if said == program.busy:
        say("one task", "this is the work of one kind of task only.",
            f"{said}, {share(program, said)} of the work of all tasks", expected, why,
            "look at all roots of the profile together")  # fmt: skip
    if said in program.names:
        say("task", "a task is named, and not the function in it that works.",
            f"{said}, which itself does {share(program, said)} of the work", expected, why,
            "look for what functions took themselves, without those that they called")  # fmt: skip
    if said not in program.functions:
        say("driver", "the function that is named does no work of this program.",
            shown_name(said[:60]) or "no name", expected,
            "a driver's profile shows that it waits, and not for what",
            "profile where the tasks run")  # fmt: skip
    if tasks != program.tasks:
        roots = len(program.names)
        say("tasks", "tasks are missing." if tasks < program.tasks else "there are fewer tasks.",
            f"{tasks:,} tasks" + (", as many as there are kinds of them" if tasks == roots else ""),
            f"{program.tasks} tasks of {roots} kinds, {program.count} of them submitted by a task",
            "a profile speaks for the tasks that went in, and for no others",
            "find out what 'calls' means for a root of the profile")  # fmt: skip
    return passed(
        f"{name} found the work, {program.work}, in {program.tasks} tasks.",
        [("its share of the work", share(program, said)),
         (f"share of {program.busy}, the most in one kind of task", share(program, program.busy)),
         ("tasks profiled", f"{tasks} (expected {program.tasks})")],
        "profile(driver=True). Which root is new, and what does it show?",
    )  # fmt: skip


def share(program, name):
    """Of the turns of all loops, as text."""
    return percent(program.turns.get(name, 0) / sum(program.turns.values()))


def is_pair(result):
    return (
        isinstance(result, (tuple, list))
        and len(result) == 2
        and isinstance(result[0], str)
        and isinstance(result[1], int)
        and not isinstance(result[1], bool)
    )


LADDERS = {
    "driver": Ladder(
        "In which process did your profiler look? In which processes ran the tasks?",
        "A profiler sees the process that it is in. Around the driver's get it sees waiting. "
        "profile() measures the tasks where they run, and brings the results together; a task "
        "that waits for others shows waiting, too, so look at frames whose kind is 'yours'.",
        "with profile(tool='cprofile') as p:\n    paralab.get(render.remote(scene))\n"
        "print(p.own('draw_line'), 'seconds in draw_line')",
    ),
    "one task": Ladder(
        "How many roots does the profile have? In how many of them does the same function appear?",
        "A function that is called by several kinds of tasks has a frame in each. Its time is the "
        "sum of all; top() and own() add it up.",
        "for frame in p.top(5):\n    print(frame.name, frame.own)",
    ),
    "task": Ladder(
        "Does the function that you name do the work, or does it call what does?",
        "'total' is with all that a function calls, so the outermost has most. 'own' is without.",
        "for _, frame in p.roots[0].walk():\n    print(frame.name, frame.own, frame.total)",
    ),
    "calls": Ladder(
        "How long does one call of that function take, and how long all of them?",
        "Calls tell how often, seconds tell how much. Work is seconds.",
        "longest = max(songs, key=lambda song: song.seconds)  # not song.plays",
    ),
    "tasks": Ladder(
        "Which number do you count: roots of the profile, or calls of all roots?",
        "All tasks with the same name are one root; its 'calls' are how many went in. 'tasks' of a "
        "profile has them by name.",
        "plays = sum(song.plays for song in album)  # not len(album)",
    ),
    "result": Ladder(
        "What are the two things that your function returns, and of which type?",
        "A pair: the function's name as text, and the number of tasks as an int.",
        "return longest.title, sum(song.plays for song in album)",
    ),
}
