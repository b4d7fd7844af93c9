"""Answers to exercise 7 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

RIGHT = """
def tasks(found):
    return [root for root in found.roots if root.name != "this process"]

def hottest(roots):
    own = {}
    for root in roots:
        for _, frame in root.walk():
            own[frame.name] = own.get(frame.name, 0.0) + frame.own
    return max(own, key=own.get)

def parts(found):
    driver = next(root for root in found.roots if root.name == "this process")
    return driver.total, found.total("get"), sum(root.total for root in tasks(found))
"""

IN_THE_DRIVER = (
    RIGHT
    + """
def diagnose(found, workers):
    return next(each.name for each in found.top() if each.kind != "runtime"), 1.0
"""
)

LARGEST_TOTAL = (
    RIGHT
    + """
def diagnose(found, workers):
    frames = [frame for root in tasks(found) for depth, frame in root.walk() if depth]
    return max(frames, key=lambda frame: frame.total).name, 1.0
"""
)

ONE_PATH = (
    RIGHT
    + """
def diagnose(found, workers):
    frames = [frame for root in tasks(found) for _, frame in root.walk()]
    return max(frames, key=lambda frame: frame.own).name, 1.0
"""
)

NO_SERIAL_PART = (
    RIGHT
    + """
def diagnose(found, workers):
    return hottest(tasks(found)), workers
"""
)

WAITING_IS_SERIAL = (
    RIGHT
    + """
def diagnose(found, workers):
    driver, waited, parallel = parts(found)
    return hottest(tasks(found)), (driver + parallel) / (driver + parallel / workers)
"""
)

ENDLESS_WORKERS = (
    RIGHT
    + """
def diagnose(found, workers):
    driver, waited, parallel = parts(found)
    return hottest(tasks(found)), (driver - waited + parallel) / (driver - waited)
"""
)

ONLY_A_NAME = (
    RIGHT
    + """
def diagnose(found, workers):
    return hottest(tasks(found))
"""
)

STUB = "waiting"
WRONG = [
    (IN_THE_DRIVER, "in the driver"),
    (LARGEST_TOTAL, "with callees"),
    (ONE_PATH, "one path"),
    (NO_SERIAL_PART, "serial part"),
    (WAITING_IS_SERIAL, "waiting"),
    (ENDLESS_WORKERS, "endless workers"),
    (ONLY_A_NAME, "result"),
]
