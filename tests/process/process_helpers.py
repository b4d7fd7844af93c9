"""What the tests of the processes share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from paralab.engine import current

LARGE = 300_000
"""Bytes of a value that goes to the store."""


def eventually(check: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Asks until ``check()`` is true; each question is a round trip to the node."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not so after {seconds} s: {check}"
        current().info("workers")
    return found


def stored() -> int:
    """How many objects the store holds."""
    return int(current().info("store")["objects"])
