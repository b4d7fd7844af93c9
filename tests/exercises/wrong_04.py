"""Answers to exercise 4 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

ONLY_OUT = """
def free(shell):
    out = shell.user_ns["Out"]
    for number in [n for n, value in out.items() if isinstance(value, paralab.ObjectRef)]:
        del out[number]
"""

EMPTIES_ALL = """
def free(shell):
    shell.displayhook.flush()
"""

ENDS_THE_SESSION = """
def free(shell):
    paralab.shutdown()
"""

STUB = "output kept"
WRONG = [
    (ONLY_OUT, "name kept"),
    (EMPTIES_ALL, "thrown away"),
    (ENDS_THE_SESSION, "session ended"),
]
