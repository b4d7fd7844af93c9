"""Answers to exercise 14 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

ENDS_WHAT_RUNS = """
def start(cpus):
    paralab.shutdown()
    paralab.init(num_cpus=cpus)
    return cpus
"""

TELLS_WHAT_WAS_ASKED = """
def start(cpus):
    paralab.init(num_cpus=cpus, ignore_reinit_error=True)
    return cpus
"""

TAKES_ALL = """
import os
def start(cpus):
    if not paralab.is_initialized():
        paralab.init(num_cpus=7)
    return int(paralab.cluster_resources()["CPU"])
"""

STUB = "init twice"
WRONG = [
    (ENDS_WHAT_RUNS, "session lost"),
    (TELLS_WHAT_WAS_ASKED, "cpus"),
    (TAKES_ALL, "cpus asked for"),
]
