"""Answers to exercise 9 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

SENDS_IT_EACH_TIME = """
def prices_of(table, baskets):
    @paralab.remote
    def price(table, basket):
        return sum(table[name] for name in basket)
    return paralab.get([price.remote(table, basket) for basket in baskets])
"""

PUTS_IT_EACH_TIME = """
def prices_of(table, baskets):
    @paralab.remote
    def price(table, basket):
        return sum(table[name] for name in basket)
    return paralab.get([price.remote(paralab.put(table), basket) for basket in baskets])
"""

IN_THE_NOTEBOOK = """
def prices_of(table, baskets):
    return [sum(table[name] for name in basket) for basket in baskets]
"""

GET_IN_THE_LOOP = """
def prices_of(table, baskets):
    @paralab.remote
    def price(table, basket):
        return sum(table[name] for name in basket)
    stored = paralab.put(table)
    return [paralab.get(price.remote(stored, basket)) for basket in baskets]
"""

STUB = "bytes of the function"
WRONG = [
    (SENDS_IT_EACH_TIME, "bytes of all arguments"),
    (PUTS_IT_EACH_TIME, "objects put"),
    (IN_THE_NOTEBOOK, "tasks"),
    (GET_IN_THE_LOOP, "results fetched early"),
]
