"""Names from Ray's inside that tests and older programs import, as far as they mean something here.

Each stands on paralab's public API.  What is about Ray's own daemons is not there, and says so.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from paralab.absent import submodule

    return submodule("paralab._private", name)
