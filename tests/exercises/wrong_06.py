"""Answers to exercise 6 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

DELETES_AT_THE_END = """
def spread(seed, count):
    lengths = list(measure(seed, count))
    middle = sum(lengths) / count
    distances = [length - middle for length in lengths]
    squares = [distance * distance for distance in distances]
    total = sum(squares)
    del lengths, distances, squares
    return math.sqrt(total / count)
"""

ONE_LIST_LESS = """
def spread(seed, count):
    lengths = list(measure(seed, count))
    middle = sum(lengths) / count
    squares = [(length - middle) ** 2 for length in lengths]
    return math.sqrt(sum(squares) / count)
"""

FEW_DIGITS = """
def spread(seed, count):
    total = squares = 0.0
    for length in measure(seed, count):
        total += length
        squares += length * length
    return math.sqrt(abs(squares / count - (total / count) ** 2))
"""

A_TENTH_OF_THEM = """
def spread(seed, count):
    lengths = list(measure(seed, count // 10))
    return max(lengths) - min(lengths)
"""

STUB = "no change"
WRONG = [
    (DELETES_AT_THE_END, "no change"),
    (ONE_LIST_LESS, "not half"),
    (FEW_DIGITS, "digits"),
    (A_TENTH_OF_THEM, "result"),
]
