"""Answers to exercise 10 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

SHORTEST_FIRST = """
def different_words(texts):
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    refs = {at: words_in.remote(texts[at]) for at in order}
    return [paralab.get(refs[at]) for at in range(len(texts))]
"""

IN_ANOTHER_ORDER = """
def different_words(texts):
    ordered = sorted(texts, key=len, reverse=True)
    return paralab.get([words_in.remote(text) for text in ordered])
"""

GET_IN_THE_LOOP = """
def different_words(texts):
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]), reverse=True)
    found = {at: paralab.get(words_in.remote(texts[at])) for at in order}
    return [found[at] for at in range(len(texts))]
"""

TWO_HALVES = """
@paralab.remote
def words_in_all(texts):
    return [len(set(text.split())) for text in texts]

def different_words(texts):
    first, second = paralab.get([words_in_all.remote(texts[:10]), words_in_all.remote(texts[10:])])
    return first + second
"""

STUB = "end of the plan, 1 is the best"
WRONG = [
    (SHORTEST_FIRST, "end of the plan, 1 is the best"),
    (IN_ANOTHER_ORDER, "result"),
    (GET_IN_THE_LOOP, "results fetched early"),
    (TWO_HALVES, "tasks"),
]
