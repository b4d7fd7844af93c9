"""``log_once``: for messages that would otherwise come again and again."""

from __future__ import annotations

import time
from typing import Any

_logged: set[Any] = set()
_state = {"disabled": False, "periodic": False, "last": 0.0}
_PERIOD = 60.0


def log_once(key: Any) -> bool:
    """True the first time that this process asks about ``key``, and False from then on.

    With :func:`enable_periodic_logging` it is True again after 60 seconds.
    """
    if _state["disabled"]:
        return False
    if key not in _logged:
        _logged.add(key)
        _state["last"] = time.monotonic()
        return True
    if _state["periodic"] and time.monotonic() - _state["last"] > _PERIOD:
        _logged.clear()
        _state["last"] = time.monotonic()
    return False


def disable_log_once_globally() -> None:
    """From now on ``log_once`` is always False here."""
    _state["disabled"] = True


def enable_periodic_logging() -> None:
    """From now on ``log_once`` forgets after a minute what it was asked."""
    _state["periodic"] = True


def reset_log_once(key: Any = None) -> None:
    """Forgets that ``key`` was asked for, or all keys."""
    if key is None:
        _logged.clear()
    else:
        _logged.discard(key)
