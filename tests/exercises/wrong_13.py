"""Answers to exercise 13 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

WITHOUT_A_SEED = """
@paralab.remote
def darts(count):
    return [random.random() for _ in range(count)]

def throw(seed, tasks, count):
    return paralab.get([darts.remote(count) for _ in range(tasks)])
"""

SEED_PLUS_NUMBER = """
def throw(seed, tasks, count):
    refs = [darts.remote(random.Random(seed + number), count) for number in range(tasks)]
    return paralab.get(refs)
"""

ALL_SEEDED_ALIKE = """
@paralab.remote
def darts(seed, count):
    random.seed(seed)
    return [random.random() for _ in range(count)]

def throw(seed, tasks, count):
    return paralab.get([darts.remote(seed, count) for _ in range(tasks)])
"""

IN_THE_NOTEBOOK = """
def throw(seed, tasks, count):
    generator = random.Random(seed)
    return [[generator.random() for _ in range(count)] for _ in range(tasks)]
"""

ONE_LIST = """
def throw(seed, tasks, count):
    return paralab.get(darts.remote(random.Random(seed), tasks * count))
"""

STUB = "identical draws"
WRONG = [
    (WITHOUT_A_SEED, "not repeatable"),
    (SEED_PLUS_NUMBER, "seeds overlap"),
    (ALL_SEEDED_ALIKE, "identical draws"),
    (IN_THE_NOTEBOOK, "tasks"),
    (ONE_LIST, "result"),
]
