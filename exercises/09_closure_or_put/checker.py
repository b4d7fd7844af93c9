"""Counts how often the table travels: with the function, with each call, or once, by put."""

import random

import paralab_profiling.lessons.measures as count
from paralab_profiling import Check, Rule, overhead
from paralab_profiling.details import byte_count
from paralab_profiling.exercises.ladders import Ladder

ANSWER = "prices_of"
WORDS = 60_000
BASKETS = 12
SMALL = 100_000
"""Bytes; the table has far more, a function and the arguments of twelve calls far less."""


def table_and_baskets(rng: random.Random) -> tuple:
    table = {f"article-{number:06}": rng.randrange(1, 10_000) for number in range(WORDS)}
    names = list(table)
    return table, [rng.sample(names, 20) for _ in range(BASKETS)]


def prices(table, baskets):
    return [sum(table[name] for name in basket) for basket in baskets]


def largest_function(run):
    """Bytes of the largest function that was sent, of those that ran."""
    names = {task.name for task in run}
    return max((each.bytes for name, each in run.definitions.items() if name in names), default=0)


check = Check(
    arguments=table_and_baskets,
    answer=prices,
    rules=[
        Rule("tasks", count.task_count, "the baskets were not given to tasks, one each.",
             "without tasks nothing has to travel, and nothing runs beside anything else",
             "submit one task for each basket", least=BASKETS),
        Rule("bytes of the function", largest_function, "the table travels inside the function.",
             "a function that uses a variable from around it takes its value along, unseen, and "
             "once more for every worker and every new definition",
             "put the table once, and give the task the reference as an argument",
             most=SMALL, shown=byte_count),
        Rule("objects put", count.puts, "the table was put again for each basket.",
             "every put copies the whole table into the store",
             "put it once, before the first task", most=1),
        Rule("bytes of all arguments", count.bytes_sent, "the table was sent with every call.",
             "each call pickles the table anew, and each worker unpickles it",
             "put the table once, and give the tasks the reference", most=SMALL, shown=byte_count),
        Rule("results fetched early", count.early_gets, "get was called before all were submitted.",
             "each task waited for the one before",
             "collect the references first, and call get once", most=0),
    ],
    then="One thing to try: a table of ten times the size. Which of these numbers changes?",
    draw=overhead,
)  # fmt: skip

LADDERS = {
    "tasks": Ladder(
        "How many bars do you see in the picture, and how many baskets are there?",
        "One task for each basket, all submitted before the first result is fetched (notebook 01).",
        "refs = [count_words.remote(text) for text in texts]\ncounts = paralab.get(refs)",
    ),
    "bytes of the function": Ladder(
        "Where does your task get the table from? Is that name among its parameters?",
        "A closure: a function keeps the values of outer variables that it uses, and is sent with "
        "them. An argument that is a reference is fetched from the store instead (notebook 04).",
        "@paralab.remote\ndef brightness(picture, box):\n    return mean(picture, box)\n\n"
        "stored = paralab.put(picture)\n"
        "refs = [brightness.remote(stored, box) for box in boxes]",
    ),
    "objects put": Ladder(
        "How many objects were put, and how many tables are there?",
        "A reference may be given to as many tasks as you like; one put is enough (notebook 04).",
        "stored = paralab.put(picture)  # before the loop\n"
        "refs = [brightness.remote(stored, box) for box in boxes]",
    ),
    "bytes of all arguments": Ladder(
        "Divide the bytes of all arguments by the number of tasks. What has that size?",
        "Arguments are pickled for every call. A reference is a few bytes (notebook 04).",
        "stored = paralab.put(picture)\nrefs = [brightness.remote(stored, box) for box in boxes]",
    ),
    "results fetched early": Ladder(
        "How many tasks ran at the same time? What did the driver wait for between two of them?",
        "get stops the driver until one result is there; submit all first (notebook 02).",
        "refs = [read.remote(page) for page in pages]\ntexts = paralab.get(refs)",
    ),
}
