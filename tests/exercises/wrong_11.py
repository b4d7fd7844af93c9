"""Answers to exercise 11 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

ALL_IN_TASKS = """
@paralab.remote
def apply(function, argument):
    return function(argument)

def run_all(jobs):
    return paralab.get([apply.remote(function, argument) for _, function, argument in jobs])
"""

ONLY_PYTHON_LOOPS_IN_TASKS = """
@paralab.remote
def apply(function, argument):
    return function(argument)

def run_all(jobs):
    def one(job):
        name, function, argument = job
        if name == "longest_chain":
            return paralab.get(apply.remote(function, argument))
        return function(argument)
    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(one, jobs))
"""

WAITS_IN_TASKS = """
@paralab.remote
def apply(function, argument):
    return function(argument)

def run_all(jobs):
    def one(job):
        name, function, argument = job
        if name != "fingerprint":
            return paralab.get(apply.remote(function, argument))
        return function(argument)
    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(one, jobs))
"""

NO_THREADS = """
@paralab.remote
def apply(function, argument):
    return function(argument)

def run_all(jobs):
    holds = {"longest_chain", "count_words"}
    started = [apply.remote(f, a) if name in holds else f(a) for name, f, a in jobs]
    return [paralab.get(e) if isinstance(e, paralab.ObjectRef) else e for e in started]
"""

GET_IN_THE_LOOP = """
@paralab.remote
def apply(function, argument):
    return function(argument)

def run_all(jobs):
    holds = {"longest_chain", "count_words"}
    with ThreadPoolExecutor(len(jobs)) as pool:
        threads = {n: pool.submit(j[1], j[2]) for n, j in enumerate(jobs) if j[0] not in holds}
        return [
            threads[n].result() if n in threads else paralab.get(apply.remote(j[1], j[2]))
            for n, j in enumerate(jobs)
        ]
"""

THREADS_FIRST = """
@paralab.remote
def apply(function, argument):
    return function(argument)

def run_all(jobs):
    holds = {"longest_chain", "count_words"}
    refs = [apply.remote(f, a) for name, f, a in jobs if name in holds]
    with ThreadPoolExecutor(len(jobs)) as pool:
        others = list(pool.map(lambda j: j[1](j[2]), (j for j in jobs if j[0] not in holds)))
    return paralab.get(refs) + others + [None]
"""

STUB = "GIL held"
WRONG = [
    (ALL_IN_TASKS, "data sent"),
    (ONLY_PYTHON_LOOPS_IN_TASKS, "GIL held"),
    (WAITS_IN_TASKS, "a worker waits"),
    (NO_THREADS, "one after another"),
    (GET_IN_THE_LOOP, "one after another"),
    (THREADS_FIRST, "result"),
]
