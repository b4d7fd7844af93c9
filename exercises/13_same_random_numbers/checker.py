"""Counts identical draws: between tasks, between calls with one seed, and between two seeds."""

import random
from collections import Counter

import paralab_profiling.lessons.measures as count
from paralab_profiling.exercises.calls import Decided, call, called, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet

ANSWER = "throw"
TASKS, DARTS = 8, 40


def numbers(result):
    """All numbers that were drawn, in order."""
    return [number for task in result for number in task]


@decides
def check(answer):
    name = name_of(answer)
    seed = random.randrange(1_000, 1_000_000)
    result, run = called(answer, seed, TASKS, DARTS)
    if not is_whole(result):
        raise Decided(not_yet(
            "result",
            f"{name}({seed}, {TASKS}, {DARTS}) gave something else than {TASKS} lists of numbers.",
            " ".join(repr(result)[:60].split()),
            f"{TASKS} lists, one for each task, with {DARTS} numbers from 0 to 1 in each",
            "only what is drawn can be compared",
            "return the lists that the tasks give back",
        ))  # fmt: skip
    drawing = [task for task in run if task.ran and task.bytes_out > DARTS * 8]
    if len(drawing) < TASKS:
        raise Decided(not_yet(
            "tasks",
            f"{name}: the numbers were not drawn by {TASKS} tasks.",
            f"{len(drawing)} tasks gave {DARTS} numbers or more, of {count.task_count(run)} tasks",
            f"{TASKS} tasks that draw {DARTS} numbers each",
            "one process that draws for all is what the others wait for",
            "draw inside the tasks",
        ))  # fmt: skip
    same = sum(times - 1 for times in Counter(numbers(result)).values())
    if same:
        raise Decided(not_yet(
            "identical draws",
            f"{name}: tasks drew the same numbers.",
            f"{same} of {TASKS * DARTS} draws are copies of another one",
            "0",
            "eight tasks with the same darts know no more of π than one",
            "print the first number of each task",
        ))  # fmt: skip
    again = call(answer, seed, TASKS, DARTS)
    if again != result:
        differing = sum(a != b for a, b in zip(numbers(result), numbers(again), strict=False))
        raise Decided(not_yet(
            "not repeatable",
            f"{name}: the same seed gave other numbers.",
            f"{differing} of {TASKS * DARTS} draws differ in a second call with seed {seed}",
            "0",
            "nobody can find a mistake in a result that does not come again",
            "make all randomness come from the seed",
        ))  # fmt: skip
    next_one = call(answer, seed + 1, TASKS, DARTS)
    shared = len(set(numbers(result)) & set(numbers(next_one)))
    if shared:
        raise Decided(not_yet(
            "seeds overlap",
            f"{name}: two seeds share numbers.",
            f"{shared} of {TASKS * DARTS} draws with seed {seed} come with seed {seed + 1}, too",
            "0",
            "ten runs with the seeds 1 to 10 would not be ten different experiments",
            "look at which task of seed 1 has the same numbers as which task of seed 2",
        ))  # fmt: skip
    return passed(
        f"{name} draws {TASKS * DARTS} different numbers, the same ones for the same seed.",
        [("identical draws", "0 (expected 0)"), ("draws that differ in a second call", "0"),
         ("draws shared with the next seed", "0"), ("tasks", str(len(drawing)))],
        "the same with NumPy: numpy.random.SeedSequence(seed).spawn(tasks).",
    )  # fmt: skip


def is_whole(result):
    """Whether it is a list of numbers for each task."""
    return (
        isinstance(result, list)
        and len(result) == TASKS
        and all(isinstance(task, list) and len(task) == DARTS for task in result)
        and all(isinstance(number, float) and 0 <= number < 1 for number in numbers(result))
    )


LADDERS = {
    "tasks": Ladder(
        "Where is random() called: in the notebook's process, or in the tasks?",
        "Drawing is the work here. Give a task what it needs to draw by itself: a number will do.",
        "refs = [shuffle.remote(f'deck {number}') for number in range(4)]",
    ),
    "identical draws": Ladder(
        "What is the first number of each task? From which object does it come, and how did that "
        "object get there?",
        "A generator is data: it is copied with the arguments, with the function, and with a "
        "process that forks. Each copy goes on from the same place, so each task needs its own.",
        "@paralab.remote\ndef shuffle(name):\n    own = random.Random(name)\n"
        "    return own.sample(range(32), 32)",
    ),
    "not repeatable": Ladder(
        "Which of your calls gives something else when it runs again? Where is its seed from?",
        "random.random() and random.Random() without a seed take theirs from the system. "
        "random.Random(x) gives the same numbers for the same x, on every machine.",
        "own = random.Random('deck 3')  # always the same cards",
    ),
    "seeds overlap": Ladder(
        "Write down the seeds of the tasks for seed 1, and below them those for seed 2. Which "
        "are the same?",
        "seed + number is the same for (1, 2) and (2, 1). Make one seed of both that is different "
        "for each pair, such as a text with both in it.",
        "own = random.Random(f'game {game}, deck {deck}')",
    ),
}
