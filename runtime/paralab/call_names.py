"""Names of single calls, where the name of the function does not say which part of a job each is.

What calls share is their function, and by that views fold them.  So the name of one call is no
option, which would make a definition of each: it is noted beside its record, by who submits it
(``state.events``), and costs the others nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from paralab.engine import Engine
from paralab.process.prints import PrintStream


def noting_names(engine: Engine) -> Callable[[tuple[int, str]], object]:
    """What takes the key of a call and what it is called, as it may be shown (``shown_name``).

    The key is that of the call's ref; who calls has submitted it.
    """
    events = getattr(engine, "events", None)
    note: Callable[[tuple[int, str]], object] = events.names.append if events else id
    return note


def name_of(call: Any) -> str:
    """What a callable is called: of a ``partial`` the function, of other objects their class."""
    while isinstance(call, partial):
        call = call.func
    return str(getattr(call, "__name__", type(call).__name__))


def of_items(name: str, first: int, count: int) -> str:
    """What a call of ``name`` on some items is called: ``f [0:1024]``, or ``f [7]`` of one."""
    return f"{name} [{first}]" if count == 1 else f"{name} [{first}:{first + count}]"


def print_as(name: str) -> None:
    """Has what this worker prints from now on shown with ``name`` before it; "" ends that."""
    stream = sys.stdout
    if type(stream) is PrintStream:
        stream.shown_as = name
