"""Answers to exercise 2 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

FORECAST = """
def forecast(counted, sampled, seconds, calls):
    def under(each):
        number = {number}
        return seconds + calls * {added} / number
    return under(counted), under(sampled)
"""
ALL = "sum(function.calls for function in counted.functions)"
ADDED = "(each.seconds - each.seconds / each.cost)"


def forecast(number: str = ALL, added: str = ADDED) -> str:
    return FORECAST.format(number=number, added=added)


STUB = "a factor"
WRONG = [
    (forecast("max(function.calls for function in counted.functions)"), "some calls"),
    (forecast("sum(function.primitive for function in counted.functions)"), "some calls"),
    (forecast("sum(counted.tasks.values())"), "tasks"),
    (forecast("sum(root.calls for root in each.roots)"), "tasks"),
    (forecast(added="each.seconds"), "whole time"),
    (forecast(added="each.seconds * (each.cost - 1)"), "seconds with"),
    (forecast().replace("seconds + calls", "calls"), "only added"),
    (forecast("each.calls('field')"), "error"),
    ("def forecast(counted, *rest):\n    return counted.cost, rest[0].cost", "only the ratio"),
    ("def forecast(counted, *rest):\n    return counted.seconds", "result"),
]
